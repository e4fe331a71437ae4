"""Serve echo with room for only so many clients, and print what happens."""

from __future__ import annotations

import os
import resource
import sys

import trio

import trio_tcp
from trio_tcp import codecs


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class ReportingListener(trio.abc.Listener[trio.SocketStream]):
    """A listener that says when it could not accept."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener

    async def accept(self) -> trio.SocketStream:
        """Accept, or print that it failed."""
        try:
            return await self._listener.accept()
        except OSError:
            say("refused")
            raise

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def observe(event: trio_tcp.Event) -> None:
    """Print what concerns accepting."""
    if isinstance(event, trio_tcp.AcceptPaused | trio_tcp.AcceptResumed):
        say(type(event).__name__)


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every line."""
    async for line in connection:
        await connection.send(line)


async def main(clients: int) -> None:
    """Listen, leave so many descriptors, and serve."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    highest = max(map(int, os.listdir("/dev/fd")))
    limit = highest + clients
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    say(port)
    await trio_tcp.serve_listeners(
        echo, [ReportingListener(listener)], codec=codecs.Lines(), observer=observe
    )


trio.run(main, int(sys.argv[1]))
