"""The transport over any `trio.abc.Stream`: memory, TLS, SSH, a virtual network."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol, final, runtime_checkable

import trio

from trio_tcp._address import Address, from_sockaddr
from trio_tcp._transport._socket import LINGER_ZERO
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._transport import READ_BYTES, Doze, Offer

__all__ = ["StreamTransport", "SupportsLook", "SupportsReset"]

WRITE_BYTES: Final = 16 << 10
"""How much a stream is handed at a time, so that progress is seen: a TLS record."""


@runtime_checkable
class SupportsReset(Protocol):
    """A stream that can end hard. Trio has no word for that; sockets send RST."""

    def reset(self) -> None:
        """Break the connection, so that the other end gets an error."""
        ...


@runtime_checkable
class SupportsLook(Protocol):
    """A stream that can be looked at. Trio has no word for that either."""

    def is_quiet(self) -> bool:
        """Say whether it is certain that `receive_some` would have to wait now."""
        ...


@final
class StreamTransport:
    """Bytes over a stream of which nothing is known but Trio's interface.

    A stream over a socket that is not Trio's own, from a custom socket factory, is
    also asked what only sockets know, by way of Trio's interface for them.

    Being cancelled is the only way to leave such a stream's `receive_some` early, so
    each read has a cancel scope. A stream that loses bytes when a read is cancelled
    would break the promise of `Connection.receive`; Trio's own do not, except TLS.
    """

    __slots__ = ("_reading", "_socket", "_stream")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self._reading: trio.CancelScope | None = None

    @property
    def local(self) -> Address | None:
        """Where the socket is bound; None without one, or once it is closed."""
        if self._socket is None:
            return None
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getsockname())
        return None

    @property
    def peer(self) -> Address | None:
        """Where the socket is connected to; None without one, or a peer."""
        if self._socket is None:
            return None
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getpeername())
        return None

    @property
    def tls(self) -> TlsInfo | None:
        """None: the bytes are as they are."""
        return None

    async def receive_some(self) -> bytes:
        """Read, inside a scope that `interrupt_receive` can cancel."""
        self._reading = trio.CancelScope()
        with self._reading:
            try:
                return bytes(await self._stream.receive_some(READ_BYTES))
            finally:
                self._reading = None
        raise trio.ClosedResourceError("receiving was interrupted")

    def interrupt_receive(self) -> None:
        """Cancel the read at hand."""
        if self._reading is not None:
            self._reading.cancel()

    def doze(self, doze: Doze | None) -> bool:
        """It waits in a task."""
        return False

    def close_now(self) -> bool:
        """It may wait."""
        return False

    def offer_to(self, offer: Offer | None) -> None:
        """Nothing would be saved here."""

    def is_quiet(self) -> bool:
        """Ask the socket, or the stream, if it can tell; Trio's cannot."""
        if self._socket is not None:
            return self._socket.fileno() >= 0 and not self._socket.is_readable()
        return isinstance(self._stream, SupportsLook) and self._stream.is_quiet()

    def send_now(self, data: bytes | memoryview) -> int:
        """Take nothing: Trio's streams always wait."""
        return 0

    def send_parts_now(self, parts: Sequence[bytes | memoryview]) -> int:
        """As `send_now`."""
        return 0

    async def send_some(self, data: memoryview) -> int:
        """Hand the stream a piece: how far it is with it, it does not tell."""
        piece = data[:WRITE_BYTES]
        await self._stream.send_all(piece)
        return len(piece)

    @property
    def closes_at_once(self) -> bool:
        """It may wait."""
        return False

    @property
    def can_half_close(self) -> bool:
        """Whether the stream is one that Trio calls half-closeable."""
        return isinstance(self._stream, trio.abc.HalfCloseableStream)

    async def send_eof(self) -> None:
        """Pass the end on to the stream. One that cannot half-close is closed."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()
        else:
            await self._stream.aclose()

    async def aclose(self) -> None:
        """Close the stream without waiting for its peer.

        What that raises is forgotten: the connection is at its end, whose cause is
        known, and a server is not to end with it.
        """
        with suppress(Exception):
            await trio.aclose_forcefully(self._stream)

    async def abort(self) -> None:
        """Break the stream where it can be broken, and close it."""
        if self._socket is not None:
            with suppress(OSError):
                option = (socket.SOL_SOCKET, socket.SO_LINGER)
                self._socket.setsockopt(*option, LINGER_ZERO)
        if isinstance(self._stream, SupportsReset):
            with suppress(Exception):  # as in aclose
                self._stream.reset()
        await self.aclose()

    def release(self) -> trio.abc.Stream:
        """Return the stream."""
        return self._stream
