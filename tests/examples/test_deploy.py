"""What examples/deploy has is valid, and its numbers go together as the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

import trio_tcp
from trio_tcp._drain import ABORT_SECONDS

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ROOT / "examples/deploy"

SPARE_SECONDS: Final = 5
"""For a process to end, once its server has."""

EXPOSURE: Final = "20"
"""In tenths, at most: 10 is the worst. A service without any hardening has 9.6."""


def read(name: str) -> str:
    """Return a file's text."""
    return (FILES / name).read_text(encoding="utf-8")


def run(*command: str | Path) -> str:
    """Run a program, which must succeed; return all that it says."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    reason = f"the program {program} is not installed"
    return pytest.mark.skipif(found is None, reason=reason)


def option(arguments: list[str], name: str) -> str:
    """Return the value of an option, written with ``=`` or without."""
    words = [word for each in arguments for word in each.split("=")]
    return words[words.index(name) + 1]


def check_service(arguments: list[str]) -> None:
    """Have `trio-tcp serve` say that these arguments are good."""
    said = run(sys.executable, "-m", "trio_tcp", "serve", *arguments, "--check")
    assert "All is well" in said


# systemd


def unit(name: str) -> dict[str, str]:
    """Return a unit's options; of one that is given more than once, the last."""
    return dict(re.findall(r"^(\w+)=(.*)$", read(name), re.MULTILINE))


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Copy the units, for a machine on which the service is not installed."""
    text = read("echo.service")
    text = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", text)
    text = text.replace("WorkingDirectory=/opt/echo", "WorkingDirectory=/")
    service, sockets = tmp_path / "echo.service", tmp_path / "echo.socket"
    service.write_text(text, encoding="utf-8")
    sockets.write_text(read("echo.socket"), encoding="utf-8")
    return [service, sockets]


@needs("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(units: list[Path]) -> None:
    assert run("systemd-analyze", "verify", *units) == ""


@needs("systemd-analyze")
def test_the_service_may_do_little_more_than_it_needs(units: list[Path]) -> None:
    run(
        *("systemd-analyze", "security", "--no-pager", "--offline=true"),
        *(f"--threshold={EXPOSURE}", units[0]),
    )


def test_the_unit_gives_the_drain_its_time() -> None:
    service = unit("echo.service")
    _, *arguments = shlex.split(service["ExecStart"])
    grace = float(option(arguments, "--grace"))
    assert int(service["TimeoutStopSec"]) >= grace + ABORT_SECONDS + SPARE_SECONDS


def test_the_unit_has_a_descriptor_for_each_connection() -> None:
    service = unit("echo.service")
    assert int(service["LimitNOFILE"]) >= trio_tcp.Limits().max_connections + 1000


def test_the_unit_starts_a_service_that_there_is() -> None:
    service = unit("echo.service")
    _, command, *arguments = shlex.split(service["ExecStart"])
    assert command == "serve"
    check_service(arguments)


# HAProxy


def haproxy_option(pattern: str) -> str:
    """Find a value in its configuration."""
    [found] = re.findall(pattern, read("haproxy.cfg"), re.MULTILINE)
    return str(found)


@needs("haproxy")
def test_haproxy_finds_nothing_wrong_with_its_configuration() -> None:
    haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
    said = run(haproxy, "-c", "-f", FILES / "haproxy.cfg")
    assert "WARNING" not in said


def test_the_service_behind_haproxy_is_one_that_there_is() -> None:
    check_service(["--config", str(FILES / "service.toml")])


def test_haproxy_is_told_before_a_drain_begins() -> None:
    service = tomllib.loads(read("service.toml"))
    interval = int(haproxy_option(r" inter (\d+)s"))
    failures = int(haproxy_option(r" fall (\d+)"))
    patience = int(haproxy_option(r"^ +timeout check (\d+)s"))
    assert service["drain_delay"] >= interval * failures + patience


def test_haproxy_sends_a_server_no_more_than_that_takes() -> None:
    service = tomllib.loads(read("service.toml"))
    each = int(haproxy_option(r"default-server .* maxconn (\d+)"))
    servers = len(re.findall(r"^ +server ", read("haproxy.cfg"), re.MULTILINE))
    assert each < service["limits"]["max_connections"]
    assert int(haproxy_option(r"^ +maxconn (\d+)")) <= each * servers


def test_the_service_ends_silent_connections_before_haproxy_does() -> None:
    for side in "client", "server":
        minutes = int(haproxy_option(rf"timeout {side} (\d+)m"))
        assert minutes * 60 > trio_tcp.Timeouts().idle


# Containers


def dockerfile(instruction: str) -> list[Any]:
    """Return what the Dockerfile says, each time, read as JSON where it is a list."""
    text = read("Dockerfile").replace("\\\n", " ")
    found = re.findall(rf"^{instruction} (.*)", text, re.MULTILINE)
    return [json.loads(each) if each.startswith("[") else each for each in found]


def test_the_container_has_no_shell_before_the_service() -> None:
    """A list: as text it would be given to a shell, which passes no signals on."""
    [entry], [arguments] = dockerfile("ENTRYPOINT"), dockerfile("CMD")
    assert entry == ["trio-tcp", "serve"]
    check_service(arguments)


def test_the_container_is_not_root_by_number() -> None:
    [user] = dockerfile("USER")
    assert int(user.split(":")[0]) > 0


# Kubernetes


@pytest.fixture
def manifests() -> dict[str, Any]:
    """Read them, by kind."""
    documents: list[Any] = list(yaml.safe_load_all(read("kubernetes.yaml")))
    return {each["kind"]: each for each in documents}


@pytest.fixture
def pod(manifests: dict[str, Any]) -> Any:  # noqa: ANN401 - as YAML has it
    """Return what the Deployment says of each pod."""
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:  # noqa: ANN401 - as YAML has it
    """Return the only container."""
    [found] = pod["containers"]
    return found


def test_the_pod_has_time_for_its_drain(pod: Any, container: Any) -> None:  # noqa: ANN401
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = float(option(container["args"], "--grace"))
    needed = sleep + grace + ABORT_SECONDS + SPARE_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= needed


def test_a_pod_that_hangs_is_given_up_later_than_one_that_is_busy(
    container: Any,  # noqa: ANN401
) -> None:
    ready, live = container["readinessProbe"], container["livenessProbe"]
    assert ready["httpGet"] == {"path": "/ready", "port": "status"}
    assert live["httpGet"] == {"path": "/live", "port": "status"}
    until_unready = ready["periodSeconds"] * ready["failureThreshold"]
    assert live["periodSeconds"] * live["failureThreshold"] >= 10 * until_unready


def test_the_pod_has_room_for_what_connections_hold(container: Any) -> None:  # noqa: ANN401
    buffered = option(container["args"], "max_buffered_bytes")
    mebibytes = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert mebibytes << 20 >= 2 * int(buffered)


def test_the_ports_of_the_pod_are_those_of_the_service(
    manifests: dict[str, Any],
    container: Any,  # noqa: ANN401
) -> None:
    check_service(container["args"])
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert option(container["args"], "--listen") == f":{ports['echo']}"
    assert option(container["args"], "--status") == f":{ports['status']}"
    [public] = manifests["Service"]["spec"]["ports"]
    assert public["targetPort"] == "echo"  # and the status stays inside


def test_an_update_takes_no_pod_away_before_there_is_another(
    manifests: dict[str, Any],
) -> None:
    deployment = manifests["Deployment"]["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (
        manifests["PodDisruptionBudget"]["spec"]["minAvailable"]
        < (deployment["replicas"])
    )
    labels = deployment["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels


# The kernel


@pytest.mark.skipif(sys.platform != "linux", reason="the settings are Linux's")
def test_the_kernel_has_the_settings() -> None:
    names = re.findall(r"^([a-z0-9_.]+) = ", read("sysctl.conf"), re.MULTILINE)
    assert names
    for name in names:
        path = Path("/proc/sys", *name.split("."))
        # A network namespace may show only those that it has of its own.
        assert path.exists() or path.parts[3] == "net", name
