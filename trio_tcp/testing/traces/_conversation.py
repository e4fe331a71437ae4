"""Which segments belong to one connection, and what they carried each way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from trio_tcp.testing.traces._segment import Endpoint, Flag, Segment, SegmentOptions

__all__ = ["Conversation", "conversation_of_each", "find_conversations"]

_SEQUENCE_NUMBERS: Final = 1 << 32


@final
class Conversation:
    """One connection, or an attempt at one.

    Attributes:
        client: The end that sent the first segment.
        server: The other end.
        segments: Its segments, in the order in which they were sent.
    """

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self.client: Endpoint = client
        self.server: Endpoint = server
        self.segments: list[Segment] = []
        self._first: dict[Endpoint, int] = {}
        self._offers: dict[Endpoint, SegmentOptions | None] = {}

    def __repr__(self) -> str:
        return f"<Conversation {self.client} - {self.server}: {len(self.segments)}>"

    def payload(self, source: Endpoint) -> bytes:
        """Return the bytes that one end has sent, each once.

        What was sent a second time is left out; what never arrived is not.
        """
        sent = bytearray()
        expected: int | None = None
        for segment in self.segments:
            if segment.source != source:
                continue
            start = segment.seq + bool(segment.flags & Flag.SYN)
            if expected is None:
                expected = start
            known = (expected - start) % _SEQUENCE_NUMBERS
            if known >= _SEQUENCE_NUMBERS // 2:  # it begins later than expected
                known = 0
            fresh = segment.payload[known:]
            if fresh:
                sent += fresh
                expected = start + known + len(fresh)
        return bytes(sent)

    def relative(self, segment: Segment) -> tuple[int, int]:
        """Return a segment's sequence and acknowledgement number, counted from 0."""
        seq = segment.seq - self._first.get(segment.source, 0)
        ack = 0
        if segment.flags & Flag.ACK:
            ack = segment.ack - self._first.get(segment.destination, 0)
        return seq % _SEQUENCE_NUMBERS, ack % _SEQUENCE_NUMBERS

    def window_shift(self, source: Endpoint) -> int:
        """Return by how many bits the windows of one end are shifted on the wire.

        Windows are shifted only where both ends have offered it (RFC 7323, 2.2).
        """
        offers = [self._offers.get(self.client), self._offers.get(self.server)]
        offer = self._offers.get(source)
        return 0 if offer is None or None in offers else offer.window_scale

    def is_followed_by(self, segment: Segment) -> bool:
        """Tell whether a segment opens another connection between the same ends."""
        is_opening = segment.flags & (Flag.SYN | Flag.ACK) == Flag.SYN
        first = self._first.get(segment.source)
        return is_opening and first is not None and first != segment.seq

    def add(self, segment: Segment) -> None:
        """Append a segment."""
        self.segments.append(segment)
        self._first.setdefault(segment.source, segment.seq)
        if segment.flags & Flag.SYN:
            self._offers[segment.source] = segment.options


def conversation_of_each(segments: Iterable[Segment]) -> list[Conversation]:
    """Return for each segment, in their order, the connection that it belongs to."""
    owners: list[Conversation] = []
    latest: dict[tuple[Endpoint, Endpoint], Conversation] = {}
    for segment in segments:
        conversation = latest.get((segment.source, segment.destination))
        if conversation is None or conversation.is_followed_by(segment):
            conversation = Conversation(segment.source, segment.destination)
            latest[segment.source, segment.destination] = conversation
            latest[segment.destination, segment.source] = conversation
        conversation.add(segment)
        owners.append(conversation)
    return owners


def find_conversations(segments: Iterable[Segment]) -> list[Conversation]:
    """Return the connections, each once, in the order of their first segments."""
    return list(dict.fromkeys(conversation_of_each(segments)))
