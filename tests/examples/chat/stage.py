"""The programs for real: a server that can be restarted, terminals and browsers."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio

from tests.tmux import ROOT, Tmux, open_tmux

__all__ = ["Server", "join_in_terminal", "open_server"]

SECONDS: Final = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

PORTS: Final = r"listening on \S+:(\d+)\n(?:.*\n)*?listening on \S+:(\d+)\n"


class Server:
    """The server's process. Made by `open_server`.

    Attributes:
        port: for terminals; the same after a restart.
        web_port: for browsers; likewise.
    """

    def __init__(self, nursery: trio.Nursery, arguments: tuple[str, ...]) -> None:
        self.port = self.web_port = 0
        self._nursery = nursery
        self._arguments = arguments
        self._process: trio.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        ports = ["--port", str(self.port), "--web-port", str(self.web_port)]
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "examples.chat.server", *ports, *self._arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        text = ""
        with trio.fail_after(SECONDS):
            while not (found := re.search(PORTS, text)):
                chunk = await self._process.stdout.receive_some()
                assert chunk, f"the server has ended: {text}"
                text += bytes(chunk).decode()
        self.port, self.web_port = int(found[1]), int(found[2])
        self._nursery.start_soon(_drink, self._process.stdout)

    async def stop(self) -> None:
        """End it in order, and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        with trio.fail_after(SECONDS):
            assert await self._process.wait() == 0

    async def kill(self) -> None:
        """End it without order."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


async def _drink(stream: trio.abc.ReceiveStream) -> None:
    """Let somebody say what they like."""
    async with stream:
        async for _ in stream:
            pass


@asynccontextmanager
async def open_server(*arguments: str) -> AsyncGenerator[Server, None]:
    """Run the server of the chat on free ports; end it with the block."""
    async with trio.open_nursery() as nursery:
        server = Server(nursery, arguments)
        await server.start()
        try:
            yield server
        finally:
            with trio.CancelScope(shield=True):
                await server.kill()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def join_in_terminal(
    nick: str, port: int, *arguments: str, columns: int = 80, rows: int = 24
) -> AsyncGenerator[Tmux, None]:
    """Run the client in a terminal of its own; end both with the block."""
    with TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "examples.chat.client", nick]
        program += ["--port", str(port), *arguments]
        async with open_tmux(
            Path(folder),
            program,
            columns=columns,
            rows=rows,
            environment={"PYTHONPATH": str(ROOT)},
        ) as terminal:
            yield terminal
