"""Byte streams in memory, with a bounded buffer and an end as hard as a network's.

Trio's own `trio.testing.memory_stream_pair` takes any amount without a reader, so that
backpressure cannot be tested with it, and its lockstep pair takes one call at a time.
This pair is in between, as sockets are: each direction holds up to ``capacity`` bytes,
a sender waits when it is full, and a sender that is cancelled while it waits has left
a part of its bytes in it.
"""

from __future__ import annotations

import operator
from typing import Final, final

import trio

from trio_tcp._validators import check_whole

__all__ = ["MemoryListener", "MemoryStream", "memory_stream_pair"]

DEFAULT_CAPACITY: Final = 64 << 10


@final
class _Pipe:
    """One direction: bytes written and not yet read, and how it ended."""

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        self.data: bytearray = bytearray()
        self.ended: bool = False  # the writer sends no more
        self.abandoned: bool = False  # the reader reads no more
        self.reset: bool = False  # nothing works any more
        self._changed = trio.lowlevel.ParkingLot()

    async def wait_for_change(self) -> None:
        await self._changed.park()

    def change(self) -> None:
        self._changed.unpark_all()


@final
class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a connection in memory. Made by `memory_stream_pair`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._sending = False
        self._receiving = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes into the pipe, waiting for room.

        Raises:
            trio.BusyResourceError: another task is sending.
            trio.BrokenResourceError: the other end is closed, or reset the connection.
            trio.ClosedResourceError: this end is closed, or has sent its end.

        Cancellation:
            As with a socket: an unknown part of the data is sent.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            rest = bytes(data)
            while True:
                self._check_writable()
                room = self._outgoing.capacity - len(self._outgoing.data)
                if room > 0 and rest:
                    self._outgoing.data += rest[:room]
                    rest = rest[room:]
                    self._outgoing.change()
                if not rest:
                    return
                await self._outgoing.wait_for_change()
        finally:
            self._sending = False

    def _check_writable(self) -> None:
        if self._closed or self._outgoing.ended:
            raise trio.ClosedResourceError("this end does not send any more")
        if self._outgoing.reset or self._outgoing.abandoned:
            raise trio.BrokenResourceError("the other end does not receive any more")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the pipe has room, or the other end receives no more.

        Raises:
            trio.BusyResourceError: another task is sending.
            trio.ClosedResourceError: as `send_all`.

        Cancellation:
            Changes nothing.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._check_writable()
            while len(self._outgoing.data) >= self._outgoing.capacity:
                await self._outgoing.wait_for_change()
                self._check_writable()
        except trio.BrokenResourceError:
            return  # sending would not wait: it would fail at once
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """Send the end: the other end reads ``b""`` after all that came before.

        Raises:
            trio.BusyResourceError: another task is sending.
            trio.ClosedResourceError: this end is closed.

        Cancellation:
            Sends nothing.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this end is closed")
        self._outgoing.ended = True
        self._outgoing.change()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Take bytes out of the pipe, waiting for some.

        Raises:
            trio.BusyResourceError: another task is receiving.
            trio.BrokenResourceError: the other end reset the connection.
            trio.ClosedResourceError: this end is closed.
            ValueError: ``max_bytes`` is less than 1.

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
            pipe = self._incoming
            while True:
                if self._closed:
                    raise trio.ClosedResourceError("this end is closed")
                if pipe.reset:
                    raise trio.BrokenResourceError("reset by the other end")
                if pipe.data:
                    chunk = bytes(pipe.data[:max_bytes])
                    del pipe.data[: len(chunk)]
                    pipe.change()
                    return chunk
                if pipe.ended:
                    return b""
                await pipe.wait_for_change()
        finally:
            self._receiving = False

    def is_quiet(self) -> bool:
        """Say whether `receive_some` would have to wait now."""
        pipe = self._incoming
        return not (self._closed or pipe.reset or pipe.data or pipe.ended)

    async def aclose(self) -> None:
        """Close both directions.

        As with TCP, closing while received bytes lie unread resets the connection.

        Cancellation:
            It is closed all the same.
        """
        if not self._closed:
            if self._incoming.data:
                self.reset()
            self._closed = True
            self._outgoing.ended = True
            self._incoming.abandoned = True
            self._outgoing.change()
            self._incoming.change()
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Break the connection, as RST does: what is under way is lost."""
        self._closed = True
        for pipe in (self._incoming, self._outgoing):
            pipe.reset = True
            pipe.data.clear()
            pipe.change()


def memory_stream_pair(
    capacity: int = DEFAULT_CAPACITY,
) -> tuple[MemoryStream, MemoryStream]:
    """Make two connected streams.

    Args:
        capacity: bytes that each direction holds before its sender waits.

    Raises:
        ValueError: ``capacity`` is no whole number of at least 1.

    Example::

        here, there = testing.memory_stream_pair()
        await here.send_all(b"hello")
        assert await there.receive_some() == b"hello"
    """
    check_whole("capacity", capacity, 1)
    there, back = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(back, there), MemoryStream(there, back)


@final
class MemoryListener(trio.abc.Listener[MemoryStream]):
    """Accepts what `connect` opens: a server's listener without a socket.

    Args:
        capacity: of each direction of its connections, in bytes.

    Raises:
        ValueError: ``capacity`` is no whole number of at least 1.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        check_whole("capacity", capacity, 1)
        self._capacity = capacity
        self._send, self._receive = trio.open_memory_channel[MemoryStream](0)

    async def connect(self) -> MemoryStream:
        """Open a connection, and wait until the server has accepted it.

        Raises:
            ConnectionRefusedError: the listener is closed.

        Cancellation:
            The server has not seen it.
        """
        ours, theirs = memory_stream_pair(self._capacity)
        try:
            await self._send.send(theirs)
        except trio.BrokenResourceError:
            raise ConnectionRefusedError("this listener is closed") from None
        return ours

    async def accept(self) -> MemoryStream:
        """Wait for the next connection.

        Raises:
            trio.ClosedResourceError: the listener is closed.

        Cancellation:
            Loses none.
        """
        return await self._receive.receive()

    async def aclose(self) -> None:
        """Accept no more: whoever connects, or waits for it, is refused.

        Cancellation:
            It is closed all the same.
        """
        await self._receive.aclose()
