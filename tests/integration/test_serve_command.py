"""``trio-tcp serve`` as a process: where it listens, what it refuses, how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.certificates import (
    certificate,
    client_context,
    write_files,
)
from tests.integration.loopback import LOOPBACK
from tests.integration.serving import (
    COMMAND,
    HANDLER,
    LINES,
    OBEY,
    ON_LOOPBACK,
    SECONDS,
    ask,
    ask_once,
    run_service,
)

every_signal = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)


# Where it listens ---------------------------------------------------------------------


async def test_it_serves_what_the_command_line_says(tmp_path: Path) -> None:
    """On several addresses; a Unix socket has its mode, and is gone in the end."""
    path = tmp_path / "x.sock"
    options = [*OBEY, *ON_LOOPBACK, "--listen", f"unix:{path},mode=600"]
    async with run_service(*options) as service:
        port = await service.port()
        assert await ask_once(port, "hello") == "hello"
        async with trio_tcp.connect_unix(path, codec=LINES) as connection:
            assert await ask(connection, "hello") == "hello"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    assert not path.exists()


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
async def test_other_programs_talk_to_it(tmp_path: Path) -> None:
    """Here socat, over a Unix socket."""
    path = tmp_path / "x.sock"
    async with run_service(*OBEY, "--listen", f"unix:{path}") as service:
        await service.logs("listening on unix:")
        ended = await trio.run_process(
            ["socat", "-", f"UNIX-CONNECT:{path}"],
            stdin=b"one\ntwo\n",
            capture_stdout=True,
        )
        assert ended.stdout == b"one\ntwo\n"


async def test_it_serves_what_a_file_says(tmp_path: Path) -> None:
    """TLS with clients' certificates, limits, the log in JSON."""
    cert, key, ca = write_files(certificate("localhost", LOOPBACK), tmp_path)
    file = tmp_path / "service.toml"
    file.write_text(
        f"""
handler = "{HANDLER}"
codec = "lines"
listen = ["{LOOPBACK}:0"]

[limits]
max_connections = 1
when_full = "reject"
farewell = "full\\n"

[tls]
cert = "{cert}"
key = "{key}"
client_ca = "{ca}"

[log]
format = "json"
"""
    )
    identity = client_context(identity=certificate("client.example"))
    async with run_service("--config", file) as service:
        found = await service.logs(rf'^{{.*listening on {LOOPBACK}:(\d+)".*}}$')
        port = int(found[1])
        async with trio_tcp.connect_tcp(
            LOOPBACK, port, codec=LINES, tls=identity
        ) as first:
            assert await ask(first, "hello") == "hello"
            async with trio_tcp.connect_tcp(
                LOOPBACK, port, codec=LINES, tls=identity
            ) as second:
                assert await second.receive() == "full"
        with pytest.raises(trio.BrokenResourceError):
            async with trio_tcp.connect_tcp(
                LOOPBACK, port, codec=LINES, tls=client_context()
            ) as stranger:
                await stranger.receive()


async def test_it_serves_an_inherited_socket() -> None:
    """By the number of its descriptor."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        number = sock.fileno()
        port = sock.getsockname()[1]
        async with run_service(
            *OBEY, "--listen", f"fd:{number}", pass_fds=[number]
        ) as service:
            assert await service.port() == port
            assert await ask_once(port, "hello") == "hello"


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None,
    reason="systemd-socket-activate is not installed",
)
async def test_it_serves_the_sockets_of_systemd(tmp_path: Path) -> None:
    """Who connects first starts it, and is served."""
    path = tmp_path / "x.sock"
    activate = ("systemd-socket-activate", "-l", str(path), *COMMAND)
    async with run_service(*OBEY, "--listen", "systemd", command=activate) as service:
        await service.logs("Listening on")
        async with trio_tcp.connect_unix(path, codec=LINES) as connection:
            assert await ask(connection, "hello") == "hello"
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0


async def test_systemd_is_told_how_it_is(tmp_path: Path) -> None:
    """Ready when it listens, reloading at SIGHUP, stopping at SIGTERM."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(path))
        told = trio.socket.from_stdlib_socket(notified.dup())
        async with run_service(
            *OBEY, *ON_LOOPBACK, variables={"NOTIFY_SOCKET": str(path)}
        ) as service:
            with trio.fail_after(SECONDS):
                assert await told.recv(1000) == b"READY=1"
                service.signal(signal.SIGHUP)
                assert (await told.recv(1000)).startswith(b"RELOADING=1\nMONOTONIC_")
                assert await told.recv(1000) == b"READY=1"
                service.signal(signal.SIGTERM)
                assert await told.recv(1000) == b"STOPPING=1"
        told.close()


# What it refuses ----------------------------------------------------------------------


async def test_a_wrong_configuration_listens_nowhere(tmp_path: Path) -> None:
    """All that is wrong is said, and the exit code is 2."""
    path = tmp_path / "x.sock"
    file = tmp_path / "service.toml"
    file.write_text(
        f'handler = "{HANDLER}"\ncodec = "linse"\nlisten = ["unix:{path}"]\n'
    )
    async with run_service("--config", file, "--grace", "-1") as service:
        lines = [await service.line() for _ in range(3)]
        assert await service.ended() == 2
    assert lines[0].startswith("--grace -1: must be")
    assert (
        lines[1] == f"{file}:2: codec: there is no codec 'linse'; did you mean lines?"
    )
    assert "2 mistakes; nothing has listened" in lines[2]
    assert not path.exists()


async def test_a_port_in_use_is_a_failure() -> None:
    """In one sentence; those that it had opened are closed again."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        address = f"{LOOPBACK}:{sock.getsockname()[1]}"
        async with run_service(*OBEY, *ON_LOOPBACK, "--listen", address) as service:
            told = await service.line()
            assert await service.ended() == 1
    assert told == f"Error: cannot listen on {address}: Address already in use."


async def test_without_systemd_there_are_no_sockets_of_its() -> None:
    """That is said, and not waited for."""
    async with run_service(*OBEY, "--listen", "systemd") as service:
        assert "LISTEN_FDS" in await service.line()
        assert await service.ended() == 1


# Signals ------------------------------------------------------------------------------


@every_signal
async def test_a_signal_lets_connections_finish(number: signal.Signals) -> None:
    """Then the exit code is 0."""
    async with run_service(*OBEY, *ON_LOOPBACK) as service:
        port = await service.port()
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "work") == "working"
            service.signal(number)
            assert [line async for line in connection] == ["done"]
        assert await service.ended() == 0


async def test_the_grace_is_what_it_is_set_to() -> None:
    """Whoever is not done then is cancelled."""
    async with run_service(*OBEY, *ON_LOOPBACK, "--grace", "0") as service:
        port = await service.port()
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "work") == "working"
            service.signal(signal.SIGTERM)
            await service.logs("draining 1 connections, for up to 0 s")


@every_signal
async def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    """The process dies of it, as any process does."""
    async with run_service(*OBEY, *ON_LOOPBACK) as service:
        port = await service.port()
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "stay") == "staying"
            service.signal(number)
            await service.logs("draining 1 connections")
            service.signal(number)
            assert await service.ended() == -number


async def test_a_shell_sees_the_usual_exit_codes() -> None:
    """0 after a drain, 143 for a second SIGTERM, 130 for a second Ctrl-C."""
    shell = ("bash", "-c", '"$@"; echo "exit code $?" >&2', "bash", *COMMAND)
    for number, code in (
        (None, "0"),
        (signal.SIGTERM, "143"),
        (signal.SIGINT, "130"),
    ):
        async with run_service(*OBEY, *ON_LOOPBACK, command=shell) as service:
            found = await service.logs(rf"\[(\d+)\].* on {LOOPBACK}:(\d+)")
            pid, port = map(int, found.groups())
            async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
                assert await ask(connection, "stay" if number else "hello")
                os.kill(pid, signal.SIGTERM)
                await service.logs("draining 1 connections")
                if number:
                    os.kill(pid, number)
            assert (await service.logs(r"exit code (\d+)"))[1] == code


# SIGHUP -------------------------------------------------------------------------------


async def test_sighup_brings_new_certificates_and_ends_no_connection(
    tmp_path: Path,
) -> None:
    """Those who come later get the new one; who is there keeps the old one."""
    cert, key, _ = write_files(certificate(LOOPBACK, "old.example"), tmp_path)
    files = ("--tls-cert", cert, "--tls-key", key)
    async with run_service(*OBEY, *ON_LOOPBACK, *files) as service:
        port = await service.port()
        async with trio_tcp.connect_tcp(
            LOOPBACK, port, codec=LINES, tls=client_context()
        ) as early:
            assert names_of(early) == {LOOPBACK, "old.example"}
            write_files(certificate(LOOPBACK, "new.example"), tmp_path)
            service.signal(signal.SIGHUP)
            await service.logs("reloaded: limits and certificates")
            assert await ask(early, "still here?") == "still here?"
            async with trio_tcp.connect_tcp(
                LOOPBACK, port, codec=LINES, tls=client_context()
            ) as late:
                assert names_of(late) == {LOOPBACK, "new.example"}
                assert await ask(late, "hello") == "hello"


def names_of(connection: trio_tcp.Connection[str, str]) -> set[str]:
    """Return the names in the certificate of the server."""
    assert connection.tls is not None
    certificate = connection.tls.peer_certificate
    assert certificate is not None
    return {name for _, name in certificate["subjectAltName"]}


async def test_sighup_brings_new_limits_from_the_file(tmp_path: Path) -> None:
    """And says what else has changed, and cannot."""
    file = tmp_path / "service.toml"
    limits = '[limits]\nwhen_full = "reject"\nfarewell = "full\\n"\n'
    file.write_text(limits)
    async with run_service(*OBEY, *ON_LOOPBACK, "--config", file) as service:
        port = await service.port()
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "hello") == "hello"
            file.write_text(f"grace = 3\n{limits}max_connections = 1\n")
            service.signal(signal.SIGHUP)
            await service.logs("reloaded: limits and certificates")
            await service.logs("to change grace takes a restart")
            async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as second:
                assert await second.receive() == "full"


async def test_sighup_with_a_mistake_in_the_file_changes_nothing(
    tmp_path: Path,
) -> None:
    """It is told, with its line, and the service goes on."""
    file = tmp_path / "service.toml"
    file.write_text("")
    async with run_service(*OBEY, *ON_LOOPBACK, "--config", file) as service:
        port = await service.port()
        file.write_text("\n[limits]\nmax_connections = 0\n")
        service.signal(signal.SIGHUP)
        await service.logs(rf"not reloaded: {file}:3: limits.max_connections: must be")
        assert await ask_once(port, "hello") == "hello"


# Standard error -----------------------------------------------------------------------


async def test_a_full_disk_for_the_log_ends_no_service(tmp_path: Path) -> None:
    """Nor does it change the exit code."""
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        shell = ("bash", "-c", '"$@" 2>/dev/full; echo "exit code $?" >&2', "bash")
        async with run_service(
            *OBEY,
            *("--listen", f"fd:{sock.fileno()}", "--log-level", "debug"),
            command=(*shell, *COMMAND),
            pass_fds=[sock.fileno()],
        ) as service:
            async with trio_tcp.connect_unix(path, codec=LINES) as connection:
                pid = int(await ask(connection, "pid"))
                os.kill(pid, signal.SIGTERM)
                assert [line async for line in connection] == []
            assert await service.line() == "exit code 0"


async def test_a_log_that_nobody_reads_any_more_ends_no_service() -> None:
    """As after `trio-tcp serve … 2>&1 | head`."""
    async with run_service(*OBEY, *ON_LOOPBACK, "--log-level", "debug") as service:
        port = await service.port()
        assert service.process.stderr is not None
        await service.process.stderr.aclose()
        assert await ask_once(port, "hello") == "hello"
        service.signal(signal.SIGTERM)
        with trio.fail_after(SECONDS):
            assert await service.process.wait() == 0
