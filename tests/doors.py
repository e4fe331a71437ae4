"""A server in memory, and a door in front of it: clients that come and come back."""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias, final

import trio

import trio_tcp
from trio_tcp import codecs, testing

__all__ = ["Door", "Text"]

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines()


@final
class Door:
    """The way to a server, which does as its clients say.

    Attributes:
        is_open: whether connections can be made.
        refusal: what becomes of attempts while it is shut.
        knocks: when each attempt was made, on Trio's clock.
        ends: why the server's side of each connection has ended, in this order.
        received: all that the server was sent, over all connections.
        open: how many connections the clients have open now.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.refusal: Exception = ConnectionRefusedError(errno.ECONNREFUSED, "shut")
        self.knocks: list[float] = []
        self.ends: list[trio_tcp.CloseReason] = []
        self.received: list[str] = []
        self.open = 0
        self._served: testing.MemoryServer[str] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Text, None]:
        """Open a connection, if the door is open."""
        self.knocks.append(trio.current_time())
        if not self.is_open:
            raise self.refusal
        assert self._served is not None
        async with self._served.connect() as connection:
            self.open += 1
            try:
                yield connection
            finally:
                self.open -= 1

    async def serve(self, connection: Text) -> None:
        """Answer with what comes, or end the connection as told."""
        with suppress(trio_tcp.ConnectionFault):
            async for line in connection:
                self.received.append(line)
                match line.split():
                    case ["close"]:
                        break
                    case ["reset"]:
                        connection.abort()
                        break
                    case ["close", "after", seconds]:
                        await trio.sleep(float(seconds))
                        break
                    case ["silence"]:
                        pass
                    case _:
                        await connection.send(line)

    def observe(self, event: trio_tcp.Event) -> None:
        """Note how the server's connections end."""
        if isinstance(event, trio_tcp.ConnectionEnded):
            self.ends.append(event.reason)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Door, None]:
        """Run the server."""
        async with testing.serve_in_memory(
            self.serve, LINES, observer=self.observe
        ) as self._served:
            yield self
