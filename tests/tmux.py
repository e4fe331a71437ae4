"""A real terminal, in which a program runs: tmux, with nobody looking at it.

What the program draws also goes through a pipe, so that a test can wait for it: when
something was drawn, the screen is looked at again.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

__all__ = ["ROOT", "Tmux", "open_tmux", "trio_tcp_command"]

ROOT: Final = Path(__file__).parents[1]

SECONDS: Final = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""


def trio_tcp_command(*arguments: object) -> list[str]:
    """Return the command line of our command, with this interpreter."""
    return [sys.executable, "-m", "trio_tcp", *map(str, arguments)]


class Tmux:
    """The terminal. Made by `open_tmux`."""

    def __init__(self, socket: Path, drawn: trio.abc.ReceiveStream) -> None:
        self._socket = socket
        self._drawn = drawn

    async def command(self, *arguments: str) -> str:
        """Have tmux do something."""
        done = await trio.run_process(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", "-u", *arguments],
            capture_stdout=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        return done.stdout.decode()

    async def types(self, text: str) -> None:
        """Press the keys of a text."""
        await self.command("send-keys", "-l", text)

    async def presses(self, *keys: str) -> None:
        """Press keys by their names: Enter, C-c, Up."""
        await self.command("send-keys", *keys)

    async def enters(self, line: str) -> None:
        """Type a line."""
        await self.types(line)
        await self.presses("Enter")

    async def screen(self) -> str:
        """Return what is on it, without spaces at the ends of lines."""
        return await self.command("capture-pane", "-p")

    async def colours(self) -> str:
        """Return the same, with the escape sequences that colour it."""
        return await self.command("capture-pane", "-p", "-e")

    async def shows(self, pattern: str) -> str:
        """Wait until something is on the screen; return all of it."""
        screen = ""
        with trio.move_on_after(SECONDS):
            while True:
                screen = await self.screen()
                if re.search(pattern, screen, re.MULTILINE):
                    return screen
                assert await self._drawn.receive_some(), "tmux has ended"
        raise AssertionError(f"there is no {pattern!r} on\n{screen}")


@asynccontextmanager
async def open_tmux(
    folder: Path,
    program: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 24,
    environment: dict[str, str] | None = None,
) -> AsyncGenerator[Tmux, None]:
    """Run a program in a terminal; end both at the end of the block.

    Args:
        folder: for tmux's own files.
        program: with its arguments. When it ends, its exit code is on the screen.
        columns: of the screen.
        rows: of the screen.
        environment: more of it, for the program.
    """
    fifo = folder / "drawn"
    os.mkfifo(fifo)
    # Both ends, so that opening waits for nobody and there is no end of it.
    drawn = trio.lowlevel.FdStream(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
    tmux = Tmux(folder / "tmux", drawn)
    variables = [f"{name}={value}" for name, value in (environment or {}).items()]
    line = shlex.join(["env", *variables, *program])
    # It starts with Enter: not before what it draws is piped.
    shell = f'read _; clear; {line}; echo "exit code $?"; stty -a; exec cat'
    size = ("-x", str(columns), "-y", str(rows))
    async with drawn:
        await tmux.command(
            "new-session", "-d", *size, "-c", str(ROOT), "sh", "-c", shell
        )
        try:
            await tmux.command("pipe-pane", f"exec cat > {shlex.quote(str(fifo))}")
            await tmux.presses("Enter")
            yield tmux
        finally:
            with trio.move_on_after(SECONDS, shield=True):
                await tmux.command("kill-server")
