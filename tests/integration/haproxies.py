"""HAProxy as the tests run it: the real program, on a socket that a test has opened.

No port has to be guessed, and clients can connect before it is up. What it has to say
is waited for in its log.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, final

import pytest
import trio

from tests.integration.loopback import LOOPBACK, Program
from trio_tcp import TcpAddress

__all__ = ["Proxy", "haproxy", "needs_haproxy"]

# Debian has it where only root looks for programs.
HAPROXY: Final = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="the program haproxy is not installed"
)

# One thread is enough here. What is not retried at once waits for a second.
CONFIGURATION: Final = """
global
    log stdout format raw local0 info
    nbthread 1
    maxconn 500

defaults
    mode tcp
    log global
    log-format "session with %s: %ts, %B bytes"
    option log-health-checks
    option redispatch 1
    retries 3
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout check 10s

listen front
    bind fd@{descriptor} {bind}
"""


@final
class Proxy:
    """A running haproxy.

    Attributes:
        address: where it listens for clients.
        log: what it has said, line by line.
    """

    def __init__(self, address: TcpAddress, process: trio.Process) -> None:
        self.address = address
        self.log: list[str] = []
        self._process = process
        self._news = trio.Event()
        self._killed = False

    async def listen(self) -> None:
        """Take down what it says, to its end, which must not come by itself."""
        assert self._process.stdout is not None
        program = Program(self._process, self._process.stdout)
        while line := await program.line():
            self.log.append(line)
            self._news.set()
            self._news = trio.Event()
        assert self._killed, f"haproxy ended with {await self._process.wait()}"

    def kill(self) -> None:
        """End it, and all connections through it, at once."""
        self._killed = True
        self._process.kill()

    async def says(self, text: str) -> None:
        """Wait until a line of its log has this text."""
        while not any(text in line for line in self.log):
            await self._news.wait()

    def ends_of_use(self, name: str) -> list[str]:
        """Return how haproxy's sessions with a server have ended, if it sent anything.

        The first letter says who broke it off, and the second in what state it was.
        """
        pattern = rf"session with {name}: (..), [1-9][0-9]* bytes"
        return [found[1] for line in self.log if (found := re.match(pattern, line))]

    async def connect(self, source: str | None = None) -> trio.SocketStream:
        """Connect a client, which may have one of this machine's other addresses."""
        return await trio.open_tcp_stream(*self.address, local_address=source)


@asynccontextmanager
async def haproxy(
    folder: Path,
    *lines: str,
    bind: str = "",
    host: str = LOOPBACK,
    configuration: str = CONFIGURATION,
) -> AsyncGenerator[Proxy, None]:
    """Run haproxy; kill it at the end of the block if it still runs.

    Args:
        folder: for its configuration.
        lines: of the proxy, such as ``server ours 127.0.0.1:80 send-proxy``.
        bind: options of its listener.
        host: where it listens.
        configuration: the rest of it, with ``{descriptor}`` for the listener's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only haproxy has it open in the end: when that is gone, nobody listens.
    with socket.create_server((host, 0), family=family) as listener:
        address = TcpAddress(*listener.getsockname()[:2])
        descriptor = listener.fileno()
        text = configuration.format(descriptor=descriptor, bind=bind)
        text += "".join(f"    {line}\n" for line in lines)
        (folder / "haproxy.cfg").write_text(text)
        assert HAPROXY is not None
        process = await trio.lowlevel.open_process(
            [HAPROXY, "-db", "-f", folder / "haproxy.cfg"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor],
        )
    assert process.stdout is not None
    try:
        async with trio.open_nursery() as nursery:
            proxy = Proxy(address, process)
            nursery.start_soon(proxy.listen)
            yield proxy
            proxy.kill()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await trio.aclose_forcefully(process.stdout)
