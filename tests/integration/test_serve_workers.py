"""``trio-tcp serve --workers``: several processes, and who ends whom."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from contextlib import AsyncExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.certificates import certificate, write_files
from tests.integration.loopback import LOOPBACK
from tests.integration.serving import (
    COMMAND,
    HANDLER,
    LINES,
    OBEY,
    ON_LOOPBACK,
    ROOT,
    SECONDS,
    Service,
    ask,
    ask_once,
    run_service,
)

ONE = ("--workers", "1")
TWO = ("--workers", "2")


async def workers_of(service: Service) -> tuple[int, set[int]]:
    """Wait until it listens; return where, and the processes of its workers."""
    pids: set[int] = set()
    while True:
        found = await service.logs(
            rf"worker \d \(pid (\d+)\) ready|workers? listening on {LOOPBACK}:(\d+)"
        )
        if found[2]:
            return int(found[2]), pids
        pids.add(int(found[1]))


async def test_workers_serve_and_a_dead_one_is_replaced() -> None:
    """The process that was started serves nobody itself."""
    async with run_service(*OBEY, *ON_LOOPBACK, *TWO) as service:
        port, workers = await workers_of(service)
        assert service.process.pid not in workers
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            victim = int(await ask(connection, "pid"))
            assert victim in workers
            os.kill(victim, signal.SIGKILL)
            await service.logs(rf"worker \d \(pid {victim}\) ended.*SIGKILL")
        found = await service.logs(r"worker \d \(pid (\d+)\) ready")
        assert int(found[1]) not in workers
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0


async def test_a_signal_drains_all_workers() -> None:
    """Each finishes what it is at."""
    async with run_service(*OBEY, *ON_LOOPBACK, *TWO) as service:
        port, _ = await workers_of(service)
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(
                    trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES)
                )
                for _ in range(8)
            ]
            for connection in connections:
                assert await ask(connection, "work") == "working"
            service.signal(signal.SIGTERM)
            for connection in connections:
                assert [line async for line in connection] == ["done"]
        assert await service.ended() == 0


async def test_sighup_replaces_the_workers_and_ends_no_work(tmp_path: Path) -> None:
    """They read the file anew; what is the supervisor's, it says, takes a restart."""
    file = tmp_path / "service.toml"
    file.write_text("")
    options = (*OBEY, *ON_LOOPBACK, *ONE, "--config", file)
    async with run_service(*options) as service:
        port, old = await workers_of(service)
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "work") == "working"
            file.write_text("grace = 3\n[log]\nlevel = 'error'\n")
            service.signal(signal.SIGHUP)
            await service.logs("to change grace takes a restart")
            await service.logs("generation 2 serves")
            assert [line async for line in connection] == ["done"]
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert int(await ask(connection, "pid")) not in old


async def test_sighup_with_a_mistake_in_the_file_leaves_the_workers(
    tmp_path: Path,
) -> None:
    """What is wrong is said, and they go on."""
    file = tmp_path / "service.toml"
    file.write_text("")
    options = (*OBEY, *ON_LOOPBACK, *ONE, "--config", file)
    async with run_service(*options) as service:
        port, workers = await workers_of(service)
        file.write_text("[limits]\nmax_connections = 0\n")
        service.signal(signal.SIGHUP)
        await service.logs(rf"{file}:2: limits.max_connections: must be")
        await service.logs("reload failed, the old workers stay")
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert int(await ask(connection, "pid")) in workers


async def test_workers_end_in_order_when_their_supervisor_is_killed() -> None:
    """Nobody tells them; they notice."""
    async with run_service(*OBEY, *ON_LOOPBACK, *TWO) as service:
        port, _ = await workers_of(service)
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "work") == "working"
            service.signal(signal.SIGKILL)
            assert [line async for line in connection] == ["done"]
        # All of them have the other end of its log: at the end of that, none is left.
        assert await service.ended() == -signal.SIGKILL


async def test_a_second_signal_ends_all_at_once() -> None:
    """Workers, too, that cannot be cancelled."""
    async with run_service(*OBEY, *ON_LOOPBACK, *ONE) as service:
        port, _ = await workers_of(service)
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "stay") == "staying"
            service.signal(signal.SIGTERM)
            await service.logs("draining 1 connections")
            service.signal(signal.SIGTERM)
            assert await service.ended() == -signal.SIGTERM


async def test_workers_that_never_live_are_a_failure(tmp_path: Path) -> None:
    """Here the module is one that only the supervisor can import: once."""
    (tmp_path / "once.py").write_text(
        f"""
import pathlib
from {HANDLER.partition(":")[0]} import obey
mark = pathlib.Path({str(tmp_path / "mark")!r})
if mark.exists():
    raise RuntimeError("only once")
mark.touch()
"""
    )
    variables = {"PYTHONPATH": str(tmp_path)}
    options = ("once:obey", "--codec", "lines", *ON_LOOPBACK, *ONE)
    async with run_service(*options, variables=variables) as service:
        await service.logs("importing once failed with RuntimeError: only once")
        await service.logs("giving up")
        assert await service.ended() == 1


async def test_the_status_is_of_all_workers() -> None:
    """One page for all figures, each with the worker that it is of."""
    status = ("--status", f"{LOOPBACK}:0")
    async with run_service(*OBEY, *ON_LOOPBACK, *TWO, *status) as service:
        page = (await service.logs(r"status on (http://\S+)"))[1]
        await workers_of(service)
        ready = json.loads(await get(f"{page}/ready"))
        assert ready == {"ready": True, "reason": "workers serve"}
        figures = await get(f"{page}/metrics")
        for worker in ("0", "1"):
            assert (
                f'trio_tcp_connections_accepted_total{{worker="{worker}"}}' in figures
            )


async def test_one_process_has_a_status_too() -> None:
    """Figures count what is served."""
    status = ("--status", f"{LOOPBACK}:0")
    async with run_service(*OBEY, *ON_LOOPBACK, *status) as service:
        page = (await service.logs(r"status on (http://\S+)"))[1]
        port = await service.port()
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            await ask(connection, "hello")
            figures = await get(f"{page}/metrics")
            assert "trio_tcp_connections_accepted_total 1.0" in figures
        assert json.loads(await get(f"{page}/ready"))["ready"] is True


async def test_what_is_dangerous_is_said_once(tmp_path: Path) -> None:
    """By the supervisor, not by each worker."""
    cert, key, _ = write_files(certificate(LOOPBACK), tmp_path)
    key.chmod(0o604)
    files = ("--tls-cert", cert, "--tls-key", key)
    async with run_service(*OBEY, *ON_LOOPBACK, *ONE, *files) as service:
        lines: list[str] = []
        while not lines or "listening on" not in lines[-1]:
            lines.append(await service.line())
        [warning] = [line for line in lines if "can read" in line]
        assert f"[{service.process.pid}] WARNING everybody" in warning


@pytest.mark.parametrize("processes", ["0", "1"])
async def test_with_a_delay_it_is_not_ready_but_serves(processes: str) -> None:
    """Until the delay is over, or, here, until a second signal."""
    options = ("--status", f"{LOOPBACK}:0", "--drain-delay", "3600")
    async with run_service(
        *OBEY, *ON_LOOPBACK, *options, "--workers", processes
    ) as service:
        page = (await service.logs(r"status on (http://\S+)"))[1]
        port = await service.port()
        assert json.loads(await get(f"{page}/ready"))["ready"] is True
        service.signal(signal.SIGTERM)
        while json.loads(await get(f"{page}/ready"))["ready"]:
            pass  # the signal is on its way
        for _ in range(20):  # as long as a drain would take to begin, and longer
            assert await ask_once(port, "hello") == "hello"
        service.signal(signal.SIGTERM)
        assert await service.ended() == -signal.SIGTERM


async def get(url: str) -> str:
    """Read a page, as any program would."""

    def read() -> str:
        host, _, path = url.removeprefix("http://").partition("/")
        connection = HTTPConnection(host, timeout=SECONDS)
        with closing(connection):
            connection.request("GET", f"/{path}")
            return connection.getresponse().read().decode()

    return await trio.to_thread.run_sync(read)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
async def test_ctrl_c_in_a_terminal_drains_all_workers(tmp_path: Path) -> None:
    """The terminal signals the whole group; each worker ends once, and in order."""
    path, log, code = (tmp_path / name for name in ("x.sock", "log", "code"))
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    serve = shlex.join([*COMMAND, *OBEY, *TWO, "--listen", f"unix:{path}"])
    done = shlex.join([*server, "wait-for", "-S", "done"])
    os.mkfifo(log)
    # For reading and writing, so that its end is not before the first writer's.
    reader = trio.lowlevel.FdStream(os.open(log, os.O_RDWR | os.O_NONBLOCK))
    async with reader:
        script = f"{serve} 2> {log}; echo $? > {code}; {done}"
        await trio.run_process([*server, "new-session", "-d", "-c", str(ROOT), "bash"])
        await trio.run_process([*server, "send-keys", "-l", script])
        await trio.run_process([*server, "send-keys", "Enter"])
        try:
            with trio.fail_after(SECONDS):
                lines = b""
                while b"2 workers listening" not in lines:
                    lines += await reader.receive_some()
                async with trio_tcp.connect_unix(path, codec=LINES) as connection:
                    assert await ask(connection, "work") == "working"
                    await trio.run_process([*server, "send-keys", "C-c"])
                    assert [line async for line in connection] == ["done"]
                await trio.run_process([*server, "wait-for", "done"])
            assert code.read_text() == "0\n"
        finally:
            with trio.CancelScope(shield=True):
                await trio.run_process([*server, "kill-server"], check=False)


async def test_a_port_that_another_service_has_is_refused() -> None:
    """Though the sockets of its workers would let others listen beside them."""
    async with run_service(*OBEY, *ON_LOOPBACK, *ONE) as service:
        port, _ = await workers_of(service)
        place = ("--listen", f"{LOOPBACK}:{port}")
        async with run_service(*OBEY, *place, *ONE) as other:
            await other.logs("Address already in use")
            assert await other.ended() == 1
