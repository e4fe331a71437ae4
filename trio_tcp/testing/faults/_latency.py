"""Latency and jitter: segments that travel longer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import duration
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Latency"]


@final
@attrs.frozen
class Latency:
    """Every segment travels longer.

    Segments of one connection stay in order, so one that draws much jitter keeps
    those behind it waiting.

    Attributes:
        seconds: How much longer, beside what the link takes.
        jitter: Up to how many seconds more, drawn anew for each segment.
    """

    seconds: float = attrs.field(validator=duration)
    jitter: float = attrs.field(default=0.0, kw_only=True, validator=duration)

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> Latency:
        """Draw one of up to half a second, with as much jitter."""
        seconds = round(source.uniform(0, 0.5), 3)
        return cls(seconds, jitter=round(source.uniform(0, seconds), 3))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def delay(_segment: Segment, passage: Passage) -> None:
            passage.delay += self.seconds
            if self.jitter:
                passage.delay += network.random.random() * self.jitter

        return network.rules.add_wire(target, delay)
