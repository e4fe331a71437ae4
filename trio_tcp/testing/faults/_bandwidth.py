"""Little bandwidth: what is sent faster waits its turn."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, final

import attrs

from trio_tcp._validators import rate
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Bandwidth"]

HEADERS: Final = 40
"""Bytes of IPv4 and TCP header without options: carried beside payload."""


@final
@attrs.frozen
class Bandwidth:
    """What is sent faster waits its turn, in each direction between two hosts.

    Attributes:
        bytes_per_second: How fast it goes, headers included.
    """

    bytes_per_second: float = attrs.field(validator=rate)

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> Bandwidth:
        """Draw one between that of a modem and that of a slow line."""
        return cls(source.choice((4_000, 16_000, 64_000, 256_000)))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""
        busy_until: dict[tuple[str, str], float] = {}

        def queue(segment: Segment, passage: Passage) -> None:
            now = network.now()
            way = (segment.sender, segment.receiver)
            start = max(now, busy_until.get(way, now))
            size = HEADERS + len(segment.payload)
            busy_until[way] = start + size / self.bytes_per_second
            passage.delay += busy_until[way] - now

        return network.rules.add_wire(target, queue)
