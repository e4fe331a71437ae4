"""Connections that break after some bytes, or after some time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import duration
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.faults._covered import connections
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.traces import Endpoint, Flag, Segment

__all__ = ["Cut"]

_Way = tuple[Endpoint, Endpoint]


def _is_whole(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not value >= 0 or (value != math.inf and value != int(value)):
        raise ValueError(f"{attribute.name} must be a number of bytes, not {value}")


def _back(way: _Way) -> _Way:
    return (way[1], way[0])


@final
@attrs.frozen(kw_only=True)
class Cut:
    """Each connection is cut after some bytes, or after some time.

    Bytes and time count from the beginning of the fault, or from that of the
    connection if it is later.

    Attributes:
        after_bytes: How many bytes of payload arrive in one direction. Whichever
            direction gets there first decides; put the fault on a link to say which.
        after_seconds: When it is cut at the latest.
        silently: False resets both ends. True loses everything from there on, without
            a word, until the fault ends: then a connection that has not given up goes
            on.
    """

    after_bytes: float = attrs.field(default=math.inf, validator=_is_whole)
    after_seconds: float = attrs.field(default=math.inf, validator=duration)
    silently: bool = False

    def __attrs_post_init__(self) -> None:
        if self.after_bytes == self.after_seconds == math.inf:
            raise ValueError("after_bytes, after_seconds or both must be given")

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> Cut:
        """Draw one after up to two kilobytes, or up to two seconds."""
        silently = source.random() < 0.5  # noqa: PLR2004 - one half
        if source.random() < 0.5:  # noqa: PLR2004 - one half
            return cls(after_bytes=source.randint(0, 2000), silently=silently)
        return cls(after_seconds=round(source.uniform(0, 2), 3), silently=silently)

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""
        return _Scissors(self, network, target).end


@final
class _Scissors:
    """One beginning of the fault: what it knows of each connection."""

    def __init__(self, cut: Cut, network: VirtualNetwork, target: Target) -> None:
        self._cut = cut
        self._network = network
        self._target = target
        self._first: dict[_Way, int] = {}
        self._deadlines: dict[_Way, float] = {}
        self._are_cut: dict[_Way, None] = {}
        self._is_over = False
        self._end_rule = network.rules.add_wire(target, self._on_segment)
        for connection in connections(network, target):
            self._set_time(connection.client, connection.server)

    def end(self) -> None:
        self._is_over = True
        self._end_rule()

    def _set_time(self, one: Endpoint, other: Endpoint) -> None:
        """Begin to count the time of a connection, once."""
        if self._cut.after_seconds == math.inf or (one, other) in self._deadlines:
            return
        deadline = self._network.now() + self._cut.after_seconds
        self._deadlines[one, other] = self._deadlines[other, one] = deadline
        if not self._cut.silently:
            self._network.timeline.at(deadline, self._on_time, (one, other), deadline)

    def _on_time(self, way: _Way, deadline: float) -> None:
        if self._is_over or self._deadlines.get(way) != deadline:
            return
        for connection in connections(self._network, self._target):
            if (connection.client, connection.server) in (way, _back(way)):
                self._are_cut[way] = self._are_cut[_back(way)] = None
                connection.reset()

    def _on_segment(self, segment: Segment, passage: Passage) -> None:
        way = (segment.source, segment.destination)
        if segment.flags & Flag.RST:
            return
        if segment.flags & Flag.SYN:
            self._on_syn(segment, way)
            return
        self._set_time(*way)
        if way in self._are_cut or self._is_late(way):
            passage.lost = "the connection is cut"
        else:
            self._count(segment, passage, way)

    def _is_late(self, way: _Way) -> bool:
        deadline = self._deadlines.get(way, math.inf)
        return self._cut.silently and self._network.now() >= deadline

    def _on_syn(self, segment: Segment, way: _Way) -> None:
        first = segment.seq + 1 & MASK
        if self._first.get(way) == first:
            return  # it was sent again
        self._first[way] = first
        if not segment.flags & Flag.ACK:  # a new connection, perhaps on used ports
            for known in (way, _back(way)):
                self._are_cut.pop(known, None)
                self._deadlines.pop(known, None)
            self._set_time(*way)

    def _count(self, segment: Segment, passage: Passage, way: _Way) -> None:
        first = self._first.setdefault(way, segment.seq)
        size = len(segment.payload)
        offset = (segment.seq - first) & MASK
        if not size or offset > MASK >> 1 or offset + size < self._cut.after_bytes:
            return
        keep = int(self._cut.after_bytes) - offset
        self._are_cut[way] = self._are_cut[_back(way)] = None
        if passage.keep is not None:
            keep = min(keep, passage.keep)
        if keep > 0:
            passage.keep = keep
        elif self._cut.silently:
            passage.lost = "the connection is cut"
        else:
            passage.keep = 0
        if not self._cut.silently:
            passage.reset = "the connection is cut"
