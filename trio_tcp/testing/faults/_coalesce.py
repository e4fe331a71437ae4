"""Segments that arrive together, so that one read gives several."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import span
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Coalesce"]


@final
@attrs.frozen
class Coalesce:
    """Segments arrive only every so many seconds, so that one read gives several.

    Attributes:
        seconds: How far apart arrivals are. They are at multiples of it on the clock.
    """

    seconds: float = attrs.field(validator=span)

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> Coalesce:
        """Draw one of up to half a second."""
        return cls(round(source.uniform(0.01, 0.5), 3))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def gather(_segment: Segment, passage: Passage) -> None:
            passage.every = max(passage.every, self.seconds)

        return network.rules.add_wire(target, gather)
