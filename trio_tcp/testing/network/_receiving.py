"""What one end of a connection received: buffered until it is read."""

from __future__ import annotations

from typing import final

from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.network._waiter import Waiter

__all__ = ["Receiving"]


@final
class Receiving:
    """One direction of a connection, as its receiver keeps it.

    Attributes:
        capacity: How many bytes there is room for.
        window_scale: By how many bits the windows are shifted that are announced.
        buffer: Bytes that wait to be read.
        expected: The sequence number of the next byte (RCV.NXT).
        edge: The sequence number up to which room was announced.
        taken: How many bytes were read since the connection began.
        fin_received: The peer sends no more.
        is_shut: The program reads no more (SHUT_RD).
        readable: Where the task waits that wants more.
    """

    __slots__ = (
        "buffer",
        "capacity",
        "edge",
        "expected",
        "fin_received",
        "is_shut",
        "readable",
        "taken",
        "window_scale",
    )

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        self.window_scale: int = max(0, capacity.bit_length() - 16)
        self.buffer: bytearray = bytearray()
        self.expected: int = 0
        self.edge: int = 0
        self.taken: int = 0
        self.fin_received: bool = False
        self.is_shut: bool = False
        self.readable: Waiter = Waiter("receiving")

    def begin(self, first: int) -> None:
        """Start with the first sequence number of the peer's bytes."""
        self.expected = self.edge = first

    def window(self) -> int:
        """Open the window as far as is worth it, and say how far it is open.

        It does not grow in small steps (RFC 9293, 3.8.6.2.2), and never shrinks.
        """
        announced = (self.edge - self.expected) & MASK
        room = self.capacity - len(self.buffer) >> self.window_scale
        room <<= self.window_scale
        if room - announced >= min(1460, self.capacity // 2):
            self.edge = self.expected + room & MASK
            return room
        return announced

    def take(self, payload: bytes) -> None:
        """Put received bytes behind those that wait."""
        self.buffer += payload
        self.expected = self.expected + len(payload) & MASK

    def read(self, size: int) -> bytes:
        """Take bytes away that are read."""
        buffer = self.buffer
        if size >= len(buffer):
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(buffer[:size])
            del buffer[:size]
        self.taken += len(data)
        return data

    def opens_window(self) -> bool:
        """Say whether the window would at least double: then the peer is told.

        As tcp_cleanup_rbuf does in Linux.
        """
        announced = (self.edge - self.expected) & MASK
        room = self.capacity - len(self.buffer)
        return 2 * announced <= self.capacity and room >= 2 * announced and room > 0
