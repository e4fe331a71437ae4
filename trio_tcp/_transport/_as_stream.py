"""A transport as a `trio.abc.Stream`, for those who go on without a connection."""

from __future__ import annotations

import operator
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import final

import trio

from trio_tcp._errors import HalfCloseUnsupportedError
from trio_tcp._transport._transport import Transport

__all__ = ["TransportStream"]


@final
class TransportStream(trio.abc.HalfCloseableStream):
    """A stream over a transport, of which it is the owner.

    It keeps Trio's rules: every call is a checkpoint, one task at a time sends and one
    receives (`trio.BusyResourceError`), and after `aclose` calls raise
    `trio.ClosedResourceError`.
    """

    __slots__ = (
        "_closed",
        "_eof_sent",
        "_receiving",
        "_sending",
        "_transport",
        "_unfinished",
        "_unread",
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._unread = bytearray()  # received, and more than was asked for
        self._sending = False
        self._receiving = False
        self._unfinished = False  # a `send_all` was left in the middle
        self._eof_sent = False
        self._closed = False

    def take(self) -> Transport | None:
        """Return the transport, for a new owner; None if it is not as it was at first.

        This stream is closed then.
        """
        used = self._unread or self._unfinished or self._eof_sent or self._closed
        if used or self._sending or self._receiving:
            return None
        self._closed = True
        return self._transport

    @contextmanager
    def _one_sender(self) -> Generator[None, None, None]:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False

    def _check_sendable(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        if self._eof_sent:
            raise trio.ClosedResourceError("nothing can be sent after send_eof")
        # The transport must be given the rest of those bytes first, and nobody has it.
        if self._unfinished:
            raise trio.BrokenResourceError(
                "an earlier send_all did not send everything"
            )

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``.

        Raises:
            trio.BusyResourceError: another task is sending.
            trio.BrokenResourceError: the connection is broken, or an earlier call was
                cancelled or failed in the middle.
            trio.ClosedResourceError: closed, or after `send_eof`.

        Cancellation:
            Leaves an unknown part sent. If that is not everything, nothing more can be
            sent.
        """
        with self._one_sender():
            await trio.lowlevel.checkpoint()
            self._check_sendable()
            # A copy: the caller may change a bytearray while this waits.
            rest = memoryview(bytes(memoryview(data)))
            self._unfinished = True
            while rest:
                taken = await self._transport.send_some(rest)
                rest = rest[taken:]
            self._unfinished = False

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once, as Trio allows: a transport cannot tell without data.

        Raises:
            trio.BusyResourceError: another task is sending.
            trio.ClosedResourceError: closed, or after `send_eof`.
        """
        with self._one_sender():
            await trio.lowlevel.checkpoint()
            if self._closed or self._eof_sent:
                raise trio.ClosedResourceError("this stream does not send any more")

    async def send_eof(self) -> None:
        """Send the end, and go on receiving. Called again it does nothing.

        Raises:
            HalfCloseUnsupportedError: the transport can only be closed as a whole.
            trio.BusyResourceError: another task is sending.
            trio.BrokenResourceError: as `send_all`.
            trio.ClosedResourceError: closed.
        """
        with self._one_sender():
            await trio.lowlevel.checkpoint()
            if self._eof_sent and not self._closed:
                return
            self._check_sendable()
            if not self._transport.can_half_close:
                raise HalfCloseUnsupportedError(
                    "this stream cannot be closed in one direction alone; use aclose()"
                )
            self._unfinished = True
            await self._transport.send_eof()
            self._unfinished = False
            self._eof_sent = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes.

        Args:
            max_bytes: at most so many; by default as many as come in one read.

        Returns:
            At least one byte, or ``b""`` at the end.

        Raises:
            trio.BusyResourceError: another task is receiving.
            trio.BrokenResourceError: the connection is broken.
            trio.ClosedResourceError: closed.

        Cancellation:
            Loses nothing.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")
            if not self._unread:
                chunk = await self._transport.receive_some()
                if max_bytes is None or len(chunk) <= max_bytes:
                    return chunk
                self._unread += chunk
            taken = bytes(self._unread[:max_bytes])
            del self._unread[: len(taken)]
            return taken
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        """Close both directions, after the end of what was sent where there is one.

        Cancellation:
            Closes at once.
        """
        if not self._closed:
            self._closed = True
            self._unread.clear()
            try:
                await self._send_last_eof()
            finally:
                with trio.CancelScope(shield=True):  # it does not wait for anybody
                    await self._transport.aclose()
        await trio.lowlevel.checkpoint()

    async def _send_last_eof(self) -> None:
        """Send the end: over TLS the peer would miss its close_notify."""
        if self._eof_sent or self._unfinished or not self._transport.can_half_close:
            return
        with suppress(trio.BrokenResourceError):
            await self._transport.send_eof()
