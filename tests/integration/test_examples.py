"""The examples in docstrings that need real sockets or processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import prometheus_client
import pytest
import trio

import trio_tcp
from tests.docs.examples import Example, echo, runs
from tests.docs.page import ROOT
from tests.integration.loopback import LOOPBACK, run_program, start_server
from trio_tcp import codecs, monitoring

LINES: Final = codecs.Lines()
Strings = trio_tcp.Connection[str, str]
SECONDS: Final = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

PRELUDE: Final = """\
import functools, logging, sys
from contextlib import asynccontextmanager
import trio, trio_tcp
from trio_tcp import codecs, monitoring
logging.basicConfig(level="INFO", format="%(message)s")

async def echo(connection):
    async for line in connection:
        await connection.send(line)

async def handle(database, connection):
    await echo(connection)

@asynccontextmanager
async def open_database():
    yield
"""


@pytest.fixture
def port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        found: int = sock.getsockname()[1]
        return found


@asynccontextmanager
async def running(folder: Path, source: str) -> AsyncGenerator[trio.Process]:
    """Run a program, which listens at the beginning of the block."""
    (folder / "service.py").write_text(PRELUDE + source, encoding="utf-8")
    process = await trio.lowlevel.open_process(
        [sys.executable, "service.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = b""
        with trio.fail_after(SECONDS):
            while b"listening on" not in said:
                chunk = await process.stderr.receive_some()
                assert chunk, said.decode()
                said += chunk
        yield process
    finally:
        await trio.aclose_forcefully(process.stderr)
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def says_hello(port: int, reply: str = "hello") -> None:
    """Talk to a server of lines, once it listens."""
    await _says_hello(partial(trio_tcp.connect_tcp, LOOPBACK, port), reply)


async def says_hello_on(path: str) -> None:
    """Talk to one on a Unix socket, once it listens."""
    await _says_hello(partial(trio_tcp.connect_unix, path), "hello")


async def _says_hello(connect: Callable[..., Any], reply: str) -> None:
    often = trio_tcp.Backoff(initial=0.01, maximum=0.1)
    connect = partial(connect, codec=LINES)
    with trio.fail_after(SECONDS):
        async with trio_tcp.open_requester(connect, backoff=often) as requester:
            assert await requester.request("hello") == reply


async def ends(process: trio.Process) -> None:
    """Tell a program to end; it ends in order."""
    process.send_signal(signal.SIGTERM)
    with trio.fail_after(SECONDS):
        assert await process.wait() == 0


@runs("trio_tcp", "run_server", "respond")
async def test_a_program_serves_until_a_signal(
    example: Example, tmp_path: Path, port: int
) -> None:
    """On its port."""
    program = example.code.replace("8888", str(port))
    async with running(tmp_path, program) as process:
        await says_hello(port, "HELLO" if example.name == "respond" else "hello")
        await ends(process)


@runs("serve_until_signalled")
async def test_a_program_of_ones_own_serves_until_a_signal(
    example: Example, tmp_path: Path
) -> None:
    """On its path."""
    path = str(tmp_path / "echo.sock")
    program = example.code.replace("/run/echo.sock", path) + "\ntrio.run(main)\n"
    async with running(tmp_path, program) as process:
        await says_hello_on(path)
        await ends(process)


@runs("run_workers")
async def test_workers_serve_until_a_signal(
    example: Example, tmp_path: Path, port: int
) -> None:
    """One of them, here."""
    program = example.code.replace("8888", str(port)).replace("workers=4", "workers=1")
    async with running(tmp_path, program) as process:
        await says_hello(port)
        await ends(process)


@runs("serve_with_workers")
async def test_workers_serve_beside_other_tasks(
    example: Example, tmp_path: Path
) -> None:
    """On a path of theirs."""
    path = str(tmp_path / "echo.sock")
    program = f"""
serve = functools.partial(trio_tcp.serve_listeners, echo, codec=codecs.Lines())
{example.code.replace("/run/echo.sock", path).replace("workers=4", "workers=1")}
if __name__ == "__main__":
    trio.run(main)
"""
    async with running(tmp_path, program):
        await says_hello_on(path)


@runs("inherited_listeners")
async def test_a_program_that_inherits_nothing_listens_itself(
    example: Example, tmp_path: Path, port: int
) -> None:
    """As when it is started by hand."""
    program = example.code.replace("7777", str(port)) + "\ntrio.run(main)\n"
    async with running(tmp_path, program):
        await says_hello(port)


@asynccontextmanager
async def beside(example: Example, **changes: Any) -> AsyncGenerator[None]:  # noqa: ANN401 - names
    """Run one that does not end, in the background of a block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(example.run, **changes))
        yield
        nursery.cancel_scope.cancel()


@runs("listener_from_fd")
async def test_a_descriptor_is_served(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the command line has named."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        port = sock.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["program", str(sock.detach())])
    async with beside(example):
        await says_hello(port)


@runs("serve_listeners")
async def test_listeners_of_two_kinds_are_served(
    example: Example, tmp_path: Path, port: int
) -> None:
    """At once."""
    path = str(tmp_path / "echo.sock")
    async with beside(example, changes={"/run/echo.sock": path, "8888": str(port)}):
        await says_hello_on(path)
        await says_hello(port)


@runs("open_unix_listener", "serve_unix")
async def test_a_path_is_served(example: Example, tmp_path: Path) -> None:
    """While the block lasts."""
    path = str(tmp_path / "echo.sock")
    async with beside(example, changes={"/run/echo.sock": path}):
        await says_hello_on(path)
    assert not await trio.Path(path).exists()


@runs("connect_unix")
async def test_a_client_talks_to_a_path(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints what comes back."""
    path = str(tmp_path / "echo.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio_tcp.serve_unix, echo, path, codec=LINES))
        await example.run({"/run/echo.sock": path})
        nursery.cancel_scope.cancel()
    assert capsys.readouterr().out == "hello\n"


@runs("Metrics.watched")
async def test_a_server_that_others_start_is_watched(
    example: Example, port: int
) -> None:
    """Until it is told to end."""
    metrics = monitoring.Metrics(prometheus_client.CollectorRegistry())
    names = {"metrics": metrics, "codec": LINES}
    async with trio.open_nursery() as nursery:
        run = partial(example.run, {"8888": str(port)}, **names)
        nursery.start_soon(run)
        await says_hello(port)
        assert metrics.readiness().is_ready
        signal.raise_signal(signal.SIGTERM)
    assert not metrics.readiness().is_ready


@runs("open_fault_proxy")
async def test_a_proxy_stands_before_a_server(example: Example) -> None:
    """While the block lasts."""
    async with trio.open_nursery() as nursery:
        server = await start_server(nursery, echo, LINES)
        names = await example.run({"6379": str(server.port)})
        assert names["proxy"].network.trace.faults
        nursery.cancel_scope.cancel()


@pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="the program redis-server is not installed",
)
@runs("RedisBackplane")
async def test_hubs_are_joined_by_redis(
    example: Example, tmp_path: Path, port: int
) -> None:
    """What one client says comes to another."""
    path = str(tmp_path / "redis.sock")
    options = ["--port", "0", "--unixsocket", path, "--dir", str(tmp_path)]

    async def chat(hub: trio_tcp.Hub[str], connection: Strings) -> None:
        with hub.attach(connection, "room.lobby", last=10):
            async for line in connection:
                await hub.publish("room.lobby", line)

    async with run_program("redis-server", *options, "--save", "") as redis:
        while "eady to accept" not in await redis.line():
            pass
        changes = {"redis://localhost": f"unix://{path}", "8888": str(port)}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(example.run, changes, chat=chat))
            await says_hello(port)
            nursery.cancel_scope.cancel()
