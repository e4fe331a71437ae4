"""The service of examples/deploy as systemd runs it: sockets handed down, and told.

`systemd-socket-activate` is the real one, and starts what ``ExecStart=`` says. The
manager whom the service notifies is a socket of this test.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import pytest
import trio

from tests.integration.loopback import Program, receive_exactly, run_program

ACTIVATE: Final = shutil.which("systemd-socket-activate")

pytestmark = pytest.mark.skipif(
    ACTIVATE is None, reason="the program systemd-socket-activate is not installed"
)

ROOT: Final = Path(__file__).parents[2]


def command() -> list[str]:
    """Return what the unit starts, with this Python, and a port of its own."""
    unit = (ROOT / "examples/deploy/echo.service").read_text(encoding="utf-8")
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    program, *arguments = shlex.split(line.removeprefix("ExecStart="))
    assert program.endswith("/trio-tcp")
    status = arguments.index("--status") + 1
    arguments[status] = "127.0.0.1:0"
    return [sys.executable, "-m", "trio_tcp", *arguments]


@attrs.frozen
class Service:
    """A service that starts when the first client comes.

    Attributes:
        program: systemd-socket-activate, which becomes the service.
        path: of the socket.
        manager: gets what the service has to say.
    """

    program: Program
    path: Path
    manager: trio.socket.SocketType

    async def told(self) -> dict[str, str]:
        """Wait for what it has to say next."""
        said = (await self.manager.recv(4096)).decode()
        return dict(line.split("=", 1) for line in said.splitlines())

    async def told_that(self, state: str) -> dict[str, str]:
        """Wait until it says so; what is said before is for people."""
        while state not in (told := await self.told()):
            assert told.keys() == {"STATUS"}, told
        return told


@asynccontextmanager
async def service(folder: Path, *options: str) -> AsyncGenerator[Service, None]:
    """Have it wait for a client."""
    path, notify = folder / "echo", folder / "notify"
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(os.fspath(notify))
        assert ACTIVATE is not None
        passed = [f"NOTIFY_SOCKET={notify}", f"PYTHONPATH={ROOT}"]
        settings = [f"--setenv={each}" for each in passed]
        starter = [ACTIVATE, "--listen", os.fspath(path), *settings]
        async with run_program(
            *starter, *command(), *options, stream="stderr"
        ) as program:
            assert (await program.line()).startswith("Listening on")
            yield Service(program, path, manager)


async def test_its_first_client_starts_it_and_signals_reload_and_end_it(
    tmp_path: Path,
) -> None:
    """The manager is told each step."""
    async with service(tmp_path) as echo:
        async with await trio.open_unix_socket(echo.path) as stream:
            await stream.send_all(b"hello\n")  # nobody serves yet
            assert await receive_exactly(stream, 6) == b"hello\n"
            await echo.told_that("READY")
            echo.program.process.send_signal(signal.SIGHUP)
            assert int((await echo.told_that("RELOADING"))["MONOTONIC_USEC"]) > 0
            await echo.told_that("READY")
            await stream.send_all(b"and again\n")
            assert await receive_exactly(stream, 10) == b"and again\n"
            echo.program.process.terminate()
            await echo.told_that("STOPPING")
            assert await stream.receive_some() == b""
        assert await echo.program.process.wait() == 0


async def test_its_workers_share_the_sockets_and_do_not_speak_for_it(
    tmp_path: Path,
) -> None:
    """The manager hears from its supervisor alone."""
    async with service(tmp_path, "--workers", "2") as echo:
        async with await trio.open_unix_socket(echo.path) as stream:
            await stream.send_all(b"hello\n")
            assert await receive_exactly(stream, 6) == b"hello\n"
        await echo.told_that("READY")
        echo.program.process.terminate()
        await echo.told_that("STOPPING")
        assert await echo.program.process.wait() == 0
