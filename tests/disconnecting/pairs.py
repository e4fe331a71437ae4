"""What the tests of a disconnection share: a connection and its peer, of each kind."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeAlias, final

import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.tls.peer import Peer
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
# They cost more than a test, and nobody changes them here.
of_client = functools.cache(client_context)
of_server = functools.cache(server_context)

AHEAD = 64 << 10  # how much is kept for `receive`
ORDERS = 40  # how often what depends on the order of tasks is tried


class Other(Protocol):
    """The other end of a connection, which is none of ours."""

    async def send(self, data: bytes, /) -> None:
        """Send bytes."""
        ...

    async def end(self) -> None:
        """Close the sending direction in order."""
        ...

    async def reset(self) -> None:
        """Break the connection."""
        ...

    async def receive(self) -> bytes:
        """Wait for bytes, or for the end."""
        ...


@final
class Plain:
    """The other end without TLS."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def end(self) -> None:
        await self._stream.send_eof()

    async def reset(self) -> None:
        await break_stream(self._stream)

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some())


@final
class Secure:
    """The other end with TLS."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def send(self, data: bytes) -> None:
        await self._peer.send(data)

    async def end(self) -> None:
        await self._peer.end()

    async def reset(self) -> None:
        await break_stream(self._peer.stream)

    async def receive(self) -> bytes:
        return await self._peer.receive()


async def break_stream(stream: trio.abc.Stream) -> None:
    """Reset it."""
    if isinstance(stream, trio.SocketStream):
        linger_zero = struct.pack("ii", 1, 0)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        stream.socket.close()
    else:
        assert isinstance(stream, testing.MemoryStream)
        stream.reset()
    await trio.lowlevel.checkpoint()


Streams: TypeAlias = tuple[trio.abc.Stream, trio.abc.HalfCloseableStream]
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Text, Other]]]


async def streams_in_memory() -> Streams:
    """In memory, which hold more than is read ahead."""
    return testing.memory_stream_pair(4 * AHEAD)


async def streams_of_sockets() -> Streams:
    """Over TCP, which knows resets."""
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = await trio.open_tcp_stream(*listener.getsockname())
        theirs, _ = await listener.accept()
    return ours, trio.SocketStream(theirs)


@asynccontextmanager
async def plain_pair(streams: Streams) -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over one stream of two, and the other end."""
    ours, theirs = streams
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        try:
            yield connection, Plain(theirs)
        finally:
            await trio.aclose_forcefully(theirs)


@asynccontextmanager
async def secure_pair(streams: Streams) -> AsyncGenerator[tuple[Text, Other], None]:
    """The same with TLS, once hands are shaken."""
    ours, theirs = streams
    peer = Peer(theirs, of_server())
    shaken = trio.Event()

    async def shake_hands() -> None:
        await peer.shake_hands()
        shaken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands)
        async with trio_tcp.open_connection(
            ours, codec=LINES, tls=of_client(), server_hostname=HOST
        ) as connection:
            await shaken.wait()
            try:
                yield connection, Secure(peer)
            finally:
                await trio.aclose_forcefully(theirs)


@asynccontextmanager
async def over_memory() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over streams in memory."""
    async with plain_pair(await streams_in_memory()) as both:
        yield both


@asynccontextmanager
async def over_sockets() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TCP."""
    async with plain_pair(await streams_of_sockets()) as both:
        yield both


@asynccontextmanager
async def over_tls() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TLS in memory."""
    async with secure_pair(await streams_in_memory()) as both:
        yield both


@asynccontextmanager
async def over_tls_over_sockets() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TLS over TCP."""
    async with secure_pair(await streams_of_sockets()) as both:
        yield both


async def set_when_gone(connection: Text, gone: trio.Event) -> None:
    """Watch for the end, and say when it is seen."""
    await connection.wait_disconnected()
    gone.set()


async def work() -> None:
    """Go on until cancelled; type checkers believe that it may return."""
    await trio.sleep_forever()


def line(number: int, size: int = 1000) -> str:
    """Make a line that is like no other."""
    return f"{number} ".ljust(size - 1, "x")


def encoded(*lines: str) -> bytes:
    """Make the bytes that carry lines."""
    return b"".join(map(LINES.encode, lines))
