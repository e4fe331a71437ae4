"""The program openssl as a peer: started, typed into, and read."""

from __future__ import annotations

import fcntl
import shutil
import ssl
import subprocess
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias, final

import pytest
import trio

from tests.certificates import HOST
from tests.integration.loopback import LOOPBACK, until

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the program openssl is not installed"
)

SECONDS = 40
"""How long a program may take on a slow machine. Nothing waits for it to pass."""


def option_for(version: ssl.TLSVersion) -> str:
    """Return openssl's option for one version of TLS alone."""
    return {"TLSv1_2": "-tls1_2", "TLSv1_3": "-tls1_3"}[version.name]


@final
class Dialogue:
    """A program that is typed into, and all that it prints.

    Attributes:
        process: the program.
    """

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._keyboard = process.stdin
        self._output = process.stdout
        self._unread: bytes = b""

    async def types(self, text: str) -> None:
        """Type something, and see it read: openssl takes a first letter for a command.

        And only the first of all that it reads at once.
        """
        await self._keyboard.send_all(text.encode())
        await until(lambda: not self._unread_by_it())

    def _unread_by_it(self) -> int:
        assert isinstance(self._keyboard, trio.lowlevel.FdStream)
        count = fcntl.ioctl(self._keyboard.fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    async def types_end(self) -> None:
        """Type Ctrl-D."""
        await self._keyboard.aclose()

    async def prints(self, text: str) -> str:
        """Wait until it has printed this; return what came before."""
        wanted = text.encode()
        at = seen = 0
        with trio.move_on_after(SECONDS):
            while (at := self._unread.find(wanted, seen)) < 0:
                seen = max(0, len(self._unread) - len(wanted))
                chunk = bytes(await self._output.receive_some())
                if not chunk:
                    break
                self._unread += chunk
        printed = self._unread[-2000:]
        assert at >= 0, f"it printed {printed!r}, and not {text[:100]!r}"
        before, self._unread = self._unread[:at], self._unread[at + len(wanted) :]
        return before.decode(errors="replace")

    async def ends(self) -> str:
        """Wait until it has ended; return what it has printed last."""
        while chunk := await self._output.receive_some():
            self._unread += chunk
        await self.process.wait()
        return self._unread.decode(errors="replace")


@asynccontextmanager
async def openssl(*arguments: object) -> AsyncGenerator[Dialogue, None]:
    """Run openssl; kill it at the end of the block if it still runs."""
    process = await trio.lowlevel.open_process(
        ["openssl", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    dialogue = Dialogue(process)
    try:
        yield dialogue
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            await dialogue.types_end()
            assert process.stdout is not None
            await process.stdout.aclose()


Files: TypeAlias = tuple[Path, Path, Path]


def s_client(
    port: int, files: Files, *arguments: object
) -> AbstractAsyncContextManager[Dialogue]:
    """Run the client of openssl, which ends when the server does."""
    where = ("-connect", f"{LOOPBACK}:{port}", "-servername", HOST)
    trust = ("-CAfile", files[2], "-verify_return_error", "-verify_hostname", HOST)
    return openssl("s_client", *where, *trust, *arguments)


COMMANDS = ("-quiet", "-no_ign_eof")
"""Options for a client that prints nothing but what it is sent, ends when it is told
to, and knows commands: Q to quit, K and k for new keys, R to renegotiate."""


@asynccontextmanager
async def s_server(
    files: Files, *arguments: object
) -> AsyncGenerator[tuple[Dialogue, int], None]:
    """Run the server of openssl for one client; tell its port."""
    where = ("-accept", f"{LOOPBACK}:0", "-naccept", 1)
    identity = ("-cert", files[0], "-key", files[1])
    async with openssl("s_server", *where, *identity, *arguments) as server:
        await server.prints(f"ACCEPT {LOOPBACK}:")
        yield server, int(await server.prints("\n"))
