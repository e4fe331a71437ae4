"""Segments that are held back, and let go in order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.network import HeldBack, Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Hold"]


@final
@attrs.frozen
class Hold:
    """Everything is held back, and let go at the end, in order.

    Nothing is lost, so nothing is sent again, however long it takes.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> Hold:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""
        held = HeldBack()

        def hold(_segment: Segment, passage: Passage) -> None:
            # Whoever came first keeps it: what is held twice stays in order.
            if passage.held is None:
                passage.held = held

        end_holding = network.rules.add_wire(target, hold)

        def release() -> None:
            end_holding()
            network.release(held)

        return release
