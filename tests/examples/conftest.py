"""The examples as programs: started, talked to, ended; never imported."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
SECONDS: Final = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""


class Program:
    """A running example: what it prints, and what is typed into it."""

    def __init__(
        self,
        process: trio.Process,
        output: trio.abc.ReceiveStream,
        keyboard: trio.abc.SendStream,
    ) -> None:
        self.process = process
        self.keyboard = keyboard
        self._output = output
        self._unread = ""

    async def prints(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed this, and forget everything up to there."""
        with trio.move_on_after(SECONDS):
            text = "the beginning"
            while text:
                if match := re.search(pattern, self._unread):
                    self._unread = self._unread[match.end() :]
                    return match
                text = await self._read()
                self._unread += text
        raise AssertionError(f"it printed {self._unread!r}, and not {pattern!r}")

    async def port(self) -> int:
        """Wait until it listens, and return where."""
        return int((await self.prints(r"listening on 127\.0\.0\.1:(\d+)\r?\n"))[1])

    async def types(self, keys: str) -> None:
        """Type something, or write it into the pipe."""
        with trio.fail_after(SECONDS):
            await self.keyboard.send_all(keys.encode())

    async def ends(self) -> str:
        """Wait until it has ended, in order; return what it printed before."""
        with trio.fail_after(SECONDS):
            while text := await self._read():
                self._unread += text
            code = await self.process.wait()
        assert code == 0, f"exit code {code}, after {self._unread!r}"
        return self._unread

    async def interrupt(self) -> str:
        """Send SIGINT, as Ctrl-C does, and wait until it has ended."""
        self.process.send_signal(signal.SIGINT)
        return await self.ends()

    async def _read(self) -> str:
        return bytes(await self._output.receive_some()).decode()

    async def kill(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        await self.process.wait()
        await self.keyboard.aclose()
        await self._output.aclose()


def command_line(example: str, arguments: tuple[object, ...]) -> list[str]:
    """Return what comes behind the name of the interpreter: for a file or a module."""
    is_file = example.endswith(".py")
    program = [str(EXAMPLES / example)] if is_file else ["-m", f"examples.{example}"]
    return [*program, *map(str, arguments)]


class Programs:
    """Starts examples; none outlives its test."""

    def __init__(self) -> None:
        self._all: list[Program] = []

    async def start(self, example: str, *arguments: object) -> Program:
        """Start an example with pipes: a file, or a module such as ``key_value``."""
        process = await trio.lowlevel.open_process(
            [sys.executable, *command_line(example, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        return self._add(Program(process, process.stdout, process.stdin))

    def _add(self, program: Program) -> Program:
        self._all.append(program)
        return program

    async def kill_all(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for program in self._all:
            await program.kill()


@pytest.fixture
async def programs() -> AsyncIterator[Programs]:
    """Start examples, and end them with the test."""
    programs = Programs()
    try:
        yield programs
    finally:
        with trio.move_on_after(SECONDS, shield=True):
            await programs.kill_all()
