"""A server whose every move is the test's: what a pool connects to."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias, final

import trio

import trio_tcp
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=10)


@final
class Opaque(trio.abc.HalfCloseableStream):
    """A stream that cannot say whether it has received something."""

    def __init__(self, stream: testing.MemoryStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@final
class Backend:
    """A server whose every move is the test's: the other ends, as plain streams.

    Attributes:
        peers: the other end of each connection, in the order in which they were made.
        open: how many connections are not yet closed on this side.
        attempts: when `connect` was called.
        refuse_with: what makes it fail.
        opaque: whether streams cannot tell what they have received.
        gate: what connecting waits for.
        linger: seconds for which peers are waited for when a connection is closed.
    """

    def __init__(self) -> None:
        self.peers: list[testing.MemoryStream] = []
        self.open = self.most_open = 0
        self.attempts: list[float] = []
        self.refuse_with: Exception | None = None
        self.opaque = False
        self.gate: trio.Event | None = None
        self.linger = 0.0

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Text, None]:
        self.attempts.append(trio.current_time())
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.refuse_with is not None:
            raise self.refuse_with
        ours, theirs = testing.memory_stream_pair()
        self.peers.append(theirs)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        stream = Opaque(ours) if self.opaque else ours
        timeouts = trio_tcp.Timeouts(linger=self.linger, message=math.inf)
        try:
            async with trio_tcp.open_connection(
                stream, codec=LINES, timeouts=timeouts
            ) as connection:
                connection.label = str(len(self.peers) - 1)
                yield connection
        finally:
            self.open -= 1


def number_of(connection: Text) -> int:
    """Say which of the backend's connections it is."""
    return int(connection.label)
