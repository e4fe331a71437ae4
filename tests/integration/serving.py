"""What the tests of ``trio-tcp serve`` share: the command as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, Program
from trio_tcp import codecs

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-m", "trio_tcp", "serve")
HANDLER: Final = "tests.integration.programs.obeying:obey"
OBEY: Final = (HANDLER, "--codec", "lines")
ON_LOOPBACK: Final = ("--listen", f"{LOOPBACK}:0")
LINES: Final = codecs.Lines()
SECONDS: Final = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""


class Service(Program):
    """The command, and what it writes to its log."""

    async def logs(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which something is found."""
        seen: list[str] = []
        with trio.move_on_after(SECONDS):
            while line := await self.line():
                if found := re.search(pattern, line):
                    return found
                seen.append(line)
        raise AssertionError(f"no {pattern!r} in {seen}")

    async def port(self) -> int:
        """Wait until it listens, and return where."""
        return int((await self.logs(rf"listening on {LOOPBACK}:(\d+)"))[1])

    async def ended(self) -> int:
        """Wait for its end, and return the exit code."""
        with trio.fail_after(SECONDS):
            while await self.line():
                pass
            return await self.process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@asynccontextmanager
async def run_service(
    *arguments: str | os.PathLike[str],
    command: Sequence[str] = COMMAND,
    pass_fds: Sequence[int] = (),
    variables: Mapping[str, str] | None = None,
) -> AsyncGenerator[Service, None]:
    """Run the command; kill it, and its workers, at the end of the block."""
    process = await trio.lowlevel.open_process(
        [*command, *(os.fspath(argument) for argument in arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
        env={**os.environ, **(variables or {})},
    )
    assert process.stderr is not None
    try:
        yield Service(process, process.stderr)
    finally:
        if process.returncode is None:
            # Workers end when their supervisor is gone.
            process.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
        await trio.aclose_forcefully(process.stderr)


async def ask(connection: trio_tcp.Connection[str, str], line: str) -> str:
    """Send a line and return the answer."""
    with trio.fail_after(SECONDS):
        await connection.send(line)
        return await connection.receive()


async def ask_once(port: int, line: str) -> str:
    """Do so over a connection of its own."""
    async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
        return await ask(connection, line)
