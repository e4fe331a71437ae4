"""What one end of a connection has to send: buffered, in flight, acknowledged."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, final

from trio_tcp.testing.network._waiter import Waiter

__all__ = ["MASK", "Sending", "Sent"]

MASK: Final = 0xFFFFFFFF
"""Sequence numbers are counted modulo 2**32."""


class Sent(NamedTuple):
    """A segment that was sent, and is kept until it is acknowledged."""

    seq: int
    end: int  # the sequence number behind it
    flags: int
    payload: bytes


@final
class Sending:
    """One direction of a connection, as its sender keeps it.

    Attributes:
        capacity: How many bytes wait or are in flight, at most, before `TcpEnd.write`
            takes no more.
        mss: The largest payload of a segment, in bytes.
        no_delay: Whether small segments go out while others are in flight (Nagle's
            algorithm is off, TCP_NODELAY).
        unsent: Bytes that wait to be sent.
        in_flight: What was sent and is not acknowledged, oldest first.
        acknowledged: The sequence number up to which all is acknowledged (SND.UNA).
        next: The sequence number of the next byte (SND.NXT).
        edge: The sequence number up to which the peer has room.
        buffered: How many bytes wait or are in flight.
        is_shut: No byte is taken any more (SHUT_WR).
        fin_queued: A FIN follows the last byte.
        fin_sent: The FIN is sent.
        room: Where the task waits that has more to send.
    """

    __slots__ = (
        "acknowledged",
        "buffered",
        "capacity",
        "edge",
        "fin_queued",
        "fin_sent",
        "in_flight",
        "is_shut",
        "mss",
        "next",
        "no_delay",
        "room",
        "unsent",
    )

    def __init__(self, first: int, capacity: int, mss: int, no_delay: bool) -> None:
        self.capacity: int = capacity
        self.mss: int = mss
        self.no_delay: bool = no_delay
        self.unsent: bytearray = bytearray()
        self.in_flight: deque[Sent] = deque()
        self.acknowledged: int = first
        self.next: int = first
        self.edge: int = first
        self.buffered: int = 0
        self.is_shut: bool = False
        self.fin_queued: bool = False
        self.fin_sent: bool = False
        self.room: Waiter = Waiter("sending")

    @property
    def has_room(self) -> bool:
        """Whether a task that waits to send is woken: a third is free, as in Linux."""
        return 3 * self.buffered <= 2 * self.capacity

    @property
    def has_work(self) -> bool:
        """Whether anything waits to be sent or acknowledged."""
        return bool(self.in_flight or self.unsent or self.fin_queued > self.fin_sent)

    @property
    def is_acknowledged(self) -> bool:
        """Whether all arrived, the FIN too."""
        return self.fin_sent and not self.in_flight

    def take_acknowledgment(self, ack: int, window: int) -> bool:
        """Note up to where the peer has all, and how much more it takes.

        Returns:
            Whether anything was new: it acknowledges more, or opens the window.
        """
        acked = (ack - self.acknowledged) & MASK
        if acked > (self.next - self.acknowledged) & MASK:
            return False  # an old one, or of bytes that were never sent
        in_flight = self.in_flight
        while in_flight and (in_flight[0].end - self.acknowledged) & MASK <= acked:
            self.buffered -= len(in_flight.popleft().payload)
        edge = (ack + window) & MASK
        if not acked and edge == self.edge:
            return False
        self.acknowledged = ack
        self.edge = edge
        return True

    def may_go_at_once(self, size: int) -> bool:
        """Say whether new bytes are a segment that nothing keeps from being sent."""
        return (
            not self.unsent
            and size <= self.mss
            and (self.no_delay or not self.in_flight)
            and size <= (self.edge - self.next) & MASK <= MASK >> 1
        )

    def next_size(self) -> int:
        """Say how large a segment may be sent now; 0 if none."""
        open_bytes = (self.edge - self.next) & MASK
        if open_bytes > MASK >> 1:  # the window was taken back: it is negative
            return 0
        waiting = len(self.unsent)
        size = min(waiting, self.mss, open_bytes)
        if size < self.mss and self.in_flight and not self._may_be_small(size):
            return 0
        return size

    def _may_be_small(self, size: int) -> bool:
        if size < len(self.unsent) and 2 * size < self.mss:
            return False  # what the window leaves over: silly (RFC 9293, 3.8.6.2.1)
        return self.no_delay or self.fin_queued

    def take_segment(self, size: int, flags: int) -> Sent:
        """Take the next bytes, as a segment in flight."""
        unsent = self.unsent
        if size == len(unsent):
            payload = bytes(unsent)
            unsent.clear()
        else:
            payload = bytes(unsent[:size])
            del unsent[:size]
        return self.put_in_flight(flags, payload, size)

    def put_in_flight(self, flags: int, payload: bytes, length: int) -> Sent:
        """Number a segment, which takes ``length`` of the sequence space."""
        seq = self.next
        self.next = seq + length & MASK
        sent = Sent(seq, self.next, flags, payload)
        self.in_flight.append(sent)
        return sent

    def forget(self) -> None:
        """Drop everything that is not acknowledged, as a reset does."""
        self.unsent.clear()
        self.in_flight.clear()
        self.buffered = 0
