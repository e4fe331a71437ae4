"""New connections that are refused: ECONNREFUSED."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.faults._covered import is_first_of_connection
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Refuse"]


@final
@attrs.frozen
class Refuse:
    """New connections are refused: ECONNREFUSED. Open ones go on."""

    @classmethod
    def draw(cls, _source: random.Random) -> Refuse:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def refuse(segment: Segment, passage: Passage) -> None:
            if is_first_of_connection(segment):
                passage.refused = "refused"

        return network.rules.add_wire(target, refuse)
