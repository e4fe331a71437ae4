"""The pages of status over real sockets, as operators' own programs ask for them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    connect,
    echo,
    receive_all,
    run_program,
)
from tests.monitoring.scraping import Fresh, ignore, samples
from trio_tcp import codecs, monitoring

CURL = shutil.which("curl")

with_curl = pytest.mark.skipif(CURL is None, reason="the program curl is not installed")


async def curl(*arguments: str) -> str:
    """Run it, and return what it prints."""
    assert CURL is not None
    command = [CURL, "--silent", "--show-error", "--noproxy", "*", *arguments]
    ended = await trio.run_process(command, capture_stdout=True)
    return ended.stdout.decode()


@with_curl
async def test_curl_gets_each_page() -> None:
    fresh = Fresh()
    async with trio.open_nursery() as nursery:
        status: trio_tcp.Server = await nursery.start(
            partial(monitoring.serve_status, source=fresh.metrics, observer=ignore), 0
        )
        serve = partial(trio_tcp.serve_tcp, echo, 0, codec=codecs.Lines())
        server: trio_tcp.Server = await nursery.start(
            fresh.metrics.watched(partial(serve, host=LOOPBACK))
        )
        page = f"http://{LOOPBACK}:{status.port}/".__add__
        assert json.loads(await curl("--fail", page("live")))["live"] is True
        ready = json.loads(await curl("--fail", page("ready")))
        assert ready == {
            "ready": True,
            "reason": f"{LOOPBACK}:{server.port}: accepting",
        }
        figures = samples(await curl("--fail", page("metrics")))
        assert figures["trio_tcp_servers{state=accepting}"] == 1
        assert "HTTP/1.1 200" in await curl("--head", page("metrics"))
        # One connection for two pages, and the codes that it saw.
        show = ("--write-out", "%{http_code} %{num_connects} ", "--output", "/dev/null")
        again = ("--next", "--silent", "--noproxy", "*", *show)
        codes = await curl(*show, page("live"), *again, page("nothing"))
        assert codes == "200 1 404 0 "
        # A body that nobody reads, larger than what the kernel takes.
        post = ("--data-binary", f"@{__file__}", "--limit-rate", "100M", page("ready"))
        assert await curl(*show, *post) == "405 1 "
        server.suspend()
        assert await curl(*show, page("ready")) == "503 1 "
        nursery.cancel_scope.cancel()


async def test_the_port_survives_whoever_does_not_behave() -> None:
    """A reset, garbage, a client that reads nothing, and one that says nothing."""
    fresh = Fresh()
    async with trio.open_nursery() as nursery:
        status: trio_tcp.Server = await nursery.start(
            partial(monitoring.serve_status, source=fresh.metrics, observer=ignore), 0
        )
        silent = connect(status.port)
        deaf = connect(status.port, small_buffers=True)
        await deaf.send_all(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        async with connect(status.port) as garbling:
            await garbling.send_all(bytes(range(256)) * 100)
            answer = await garbling.receive_some(12)
            assert answer == b"HTTP/1.1 400"
        async with connect(status.port) as client:
            await client.send_all(b"GET /live HTTP/1.0\r\n\r\n")
            assert b" 200 OK\r\n" in await receive_all(client)
        for stream in (silent, deaf):
            await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


async def test_a_signal_makes_it_unready_before_it_refuses() -> None:
    """A balancer that looks at ``/ready`` has the delay to notice."""
    async with run_program("leaving_server.py") as program:
        status_port, port = int(await program.line()), int(await program.line())

        async def ready() -> bytes:
            async with connect(status_port) as client:
                await client.send_all(b"GET /ready HTTP/1.0\r\n\r\n")
                return await receive_all(client)

        async with connect(port) as held:
            assert b" 200 OK\r\n" in await ready()
            program.process.send_signal(signal.SIGTERM)
            answer = await ready()
            while b" 200 OK\r\n" in answer:
                answer = await ready()
            assert b" 503 Service Unavailable\r\n" in answer
            assert answer.endswith(b': leaving"}\n')
            async with connect(port) as late:  # is accepted as before
                for client in (late, held):
                    await client.send_all(b"a\n")
                    assert await client.receive_some() == b"a\n"
            # Who is in a hurry does not wait for it.
            program.process.send_signal(signal.SIGTERM)
            assert await program.process.wait() == -signal.SIGTERM


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="the program promtool is not installed"
)
def test_promtool_takes_the_rules_of_the_page(tmp_path: Path) -> None:
    """The scrape configuration, the alerts, and what they say when something is up."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "monitoring.md"
    blocks = page.read_text(encoding="utf-8").split("```yaml\n")[1:]
    config, rules = (block.partition("```")[0] for block in blocks[:2])
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    (tmp_path / "trio_tcp.rules.yml").write_text(rules, encoding="utf-8")
    for command in (["config", "prometheus.yml"], ["rules", "trio_tcp.rules.yml"]):
        checked = subprocess.run(
            ["promtool", "check", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
