"""Packet loss: segments that are lost on the way, and sent again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import share
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.network._loss_delay import draw_loss_delay
from trio_tcp.testing.traces import Segment

__all__ = ["Loss"]


@final
@attrs.frozen
class Loss:
    """A share of the segments is lost on the way.

    An application sees a loss as a delay, until the segment is sent again: 0.2
    seconds, twice that if it is lost again, and so on, five times in a row at most.
    That is how it is simulated, as by the ``loss`` of a link; the trace shows each
    segment once. Where segments shall be lost for good, use `BlackHole`.

    Attributes:
        share: Which share, from 0 up to but without 1.
    """

    share: float = attrs.field(validator=share)

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> Loss:
        """Draw one of up to a half."""
        return cls(round(source.uniform(0.01, 0.5), 2))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def lose(_segment: Segment, passage: Passage) -> None:
            passage.delay += draw_loss_delay(network.random, self.share)

        return network.rules.add_wire(target, lose)
