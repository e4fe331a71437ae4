"""Connections for tests: a pair of them, and clients of a server without a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Generic, TypeVar, final

from trio_tcp._client import open_connection
from trio_tcp._connection import Connection
from trio_tcp._events import Observer
from trio_tcp._log_events import log_events
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._options import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from trio_tcp._serve import serve_listeners
from trio_tcp._serve_connection import Handler
from trio_tcp._server import Server
from trio_tcp.codecs import Codec
from trio_tcp.testing._memory import (
    DEFAULT_CAPACITY,
    MemoryListener,
    memory_stream_pair,
)

__all__ = ["MemoryServer", "connection_pair", "serve_in_memory"]

Message = TypeVar("Message")


@asynccontextmanager
async def connection_pair(
    codec: Codec[Message, Message],
    *,
    capacity: int = DEFAULT_CAPACITY,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> AsyncGenerator[
    tuple[Connection[Message, Message], Connection[Message, Message]], None
]:
    """Open two connections to each other, over bounded streams in memory.

    Both are closed gracefully at the end of the block; if the block raises they are
    aborted, and the exception leaves as itself.

    Args:
        codec: of both.
        capacity: bytes that each direction holds before its sender waits.
        timeouts: of both.

    Raises:
        ValueError: ``capacity`` is no whole number of at least 1.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        Closes both at once.

    Example::

        async with testing.connection_pair(codecs.Lines()) as (here, there):
            await here.send("hello")
            assert await there.receive() == "hello"
    """
    ours, theirs = memory_stream_pair(capacity)
    open_one = partial(open_connection, codec=codec, timeouts=timeouts)
    async with (
        open_quiet_nursery() as nursery,
        open_one(theirs) as there,
        open_one(ours) as here,
    ):
        yield here, there
        # Each waits for the other's end.
        nursery.start_soon(there.aclose)
        await here.aclose()


@final
class MemoryServer(Generic[Message]):
    """A server in memory, and the way to it. Made by `serve_in_memory`.

    Attributes:
        server: the running server, with its connections and statistics.
        listener: accepts its clients, for tests that want plain streams.
    """

    def __init__(
        self, server: Server, listener: MemoryListener, codec: Codec[Message, Message]
    ) -> None:
        self.server: Server = server
        self.listener: MemoryListener = listener
        self._codec = codec

    def connect(self) -> AbstractAsyncContextManager[Connection[Message, Message]]:
        """Open a client's connection: ``async with served.connect() as client:``."""
        return self._connect()

    @asynccontextmanager
    async def _connect(self) -> AsyncGenerator[Connection[Message, Message], None]:
        stream = await self.listener.connect()
        async with open_connection(stream, codec=self._codec) as connection:
            yield connection


@asynccontextmanager
async def serve_in_memory(
    handler: Handler[Message, Message],
    codec: Codec[Message, Message],
    *,
    capacity: int = DEFAULT_CAPACITY,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[MemoryServer[Message], None]:
    """Run a handler under all of a server's policies, without a socket.

    At the end of the block the server is cancelled, and its connections with it.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        codec: of the server and its clients.
        capacity: bytes that each direction of a connection holds.
        limits: of the server.
        timeouts: of the server's side.
        observer: of the server's side.

    Raises:
        ValueError: ``capacity`` is no whole number of at least 1.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        As the end of the block.

    Example::

        async with testing.serve_in_memory(echo, codecs.Lines()) as served:
            async with served.connect() as client:
                await client.send("hello")
                assert await client.receive() == "hello"
    """
    listener = MemoryListener(capacity)
    serve = partial(
        serve_listeners,
        handler,
        [listener],
        codec=codec,
        limits=limits,
        timeouts=timeouts,
        observer=observer,
    )
    async with open_quiet_nursery() as nursery:
        server: Server = await nursery.start(serve)
        yield MemoryServer(server, listener, codec)
        nursery.cancel_scope.cancel()
