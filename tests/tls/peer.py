"""A TLS peer that is driven by hand, and a server of ours in memory for it.

The peer is made of nothing but the standard library's `ssl`, and so it knows nothing of
the code under test. What a well-behaved library would not do, it can: cut a record in
two, leave out its end, send several things in one piece.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Generic, TypeAlias, TypeVar, final

import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from trio_tcp import testing
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.codecs import Codec

Message = TypeVar("Message")
Text: TypeAlias = trio_tcp.Connection[str, str]
Bytes: TypeAlias = trio_tcp.Connection[bytes, bytes]

DEFAULT_CAPACITY = 64 << 10


@final
class Peer:
    """One side of TLS over a stream.

    Attributes:
        stream: below.
        tls: the standard library's object.
        missing_end: the stream has ended, but TLS has not.
    """

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
    ) -> None:
        self.stream = stream
        self.missing_end = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
            server_hostname=server_hostname,
        )

    def hello(self) -> bytes:
        """Begin a client's handshake; return what is to be sent for it."""
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def finish(self, received: bytes) -> bytes:
        """End a client's handshake; return what is to be sent for it."""
        self._incoming.write(received)
        self.tls.do_handshake()
        return self._outgoing.read()

    async def shake_hands(self, received: bytes = b"") -> None:
        """Do the handshake.

        Args:
            received: what was read from the stream before, and belongs to it.
        """
        self._incoming.write(received)
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_what_is_due()
                await self._read()
            else:
                await self._send_what_is_due()
                return

    async def _send_what_is_due(self) -> None:
        if self._outgoing.pending:
            await self.stream.send_all(self._outgoing.read())

    async def _read(self) -> None:
        chunk = await self.stream.receive_some()
        self._incoming.write(chunk)
        if not chunk:
            self._incoming.write_eof()

    def encrypted(self, plaintext: bytes) -> bytes:
        """Encrypt; return what is to be sent."""
        for start in range(0, len(plaintext), 1 << 14):
            self.tls.write(plaintext[start : start + (1 << 14)])
        return self._outgoing.read()

    def close_notify(self) -> bytes:
        """Return TLS's end."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def alert(self) -> bytes:
        """Return what OpenSSL has to say about a handshake that has failed."""
        return self._outgoing.read()

    async def send(self, plaintext: bytes) -> None:
        """Encrypt and send."""
        await self.stream.send_all(self.encrypted(plaintext))

    async def end(self) -> None:
        """Send TLS's end, and the stream's."""
        await self.stream.send_all(self.close_notify())
        await self.stream.send_eof()

    async def receive(self) -> bytes:
        """Wait for plaintext; ``b""`` is the end, of TLS or of the stream alone."""
        while True:
            try:
                return self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                await self._read()
            except ssl.SSLZeroReturnError:  # it came after this side's own
                return b""
            except ssl.SSLEOFError:
                self.missing_end = True
                return b""

    def decrypt(self, ciphertext: bytes | bytearray) -> bytes:
        """Decrypt what a test has read from the stream by itself."""
        self._incoming.write(ciphertext)
        plaintext = bytearray()
        with suppress(ssl.SSLWantReadError):
            while piece := self.tls.read(1 << 16):
                plaintext += piece
        return bytes(plaintext)

    async def receive_exactly(self, size: int) -> bytes:
        """Wait for so many bytes."""
        received = b""
        while len(received) < size:
            piece = await self.receive()
            assert piece, f"it ended after {received!r}"
            received += piece
        return received

    async def receive_all(self) -> bytes:
        """Read to the end, of which TLS's must be a part."""
        received = bytearray()
        while piece := await self.receive():
            received += piece
        assert not self.missing_end, f"no close_notify after {bytes(received)!r}"
        return bytes(received)


@final
class Serving(Generic[Message]):
    """A server in memory. Made by `serving`.

    Attributes:
        server: the running server.
        listener: the way to it.
        record: what has happened.
    """

    def __init__(
        self,
        server: trio_tcp.Server,
        listener: testing.MemoryListener,
        codec: Codec[Message, Message],
        record: Record,
    ) -> None:
        self.server = server
        self.listener = listener
        self.record = record
        self._codec = codec

    @asynccontextmanager
    async def connect(
        self,
        context: ssl.SSLContext | trio_tcp.Tls | None = None,
        *,
        host: str = HOST,
        timeouts: trio_tcp.Timeouts | None = None,
    ) -> AsyncGenerator[trio_tcp.Connection[Message, Message], None]:
        """Connect a client of ours."""
        async with trio_tcp.open_connection(
            await self.listener.connect(),
            codec=self._codec,
            tls=context or client_context(),
            server_hostname=host,
            timeouts=timeouts or trio_tcp.Timeouts(),
        ) as connection:
            yield connection

    async def connect_peer(
        self, context: ssl.SSLContext | None = None, *, host: str = HOST
    ) -> Peer:
        """Connect a client that is driven by hand, and do its handshake."""
        stream = await self.listener.connect()
        peer = Peer(stream, context or client_context(), server_hostname=host)
        await peer.shake_hands()
        return peer

    async def works(self) -> None:
        """See a new client served."""
        peer = await self.connect_peer()
        await peer.send(b"still there?\n")
        assert await peer.receive() == b"still there?\n"
        await peer.end()
        assert await peer.receive_all() == b""
        await peer.stream.aclose()


@asynccontextmanager
async def serving(
    handler: trio_tcp.Handler[Message, Message],
    codec: Codec[Message, Message],
    *,
    tls: ssl.SSLContext | trio_tcp.Tls | None = None,
    capacity: int = DEFAULT_CAPACITY,
    limits: trio_tcp.Limits | None = None,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AsyncGenerator[Serving[Message], None]:
    """Run a server with TLS in memory; cancel it at the end of the block."""
    listener = testing.MemoryListener(capacity)
    record = Record()
    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=codec,
        tls=tls or server_context(),
        observer=record,
        limits=limits or trio_tcp.Limits(),
        timeouts=timeouts or trio_tcp.Timeouts(),
    )
    async with open_quiet_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        yield Serving(server, listener, codec, record)
        nursery.cancel_scope.cancel()
