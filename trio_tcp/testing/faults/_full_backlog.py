"""New connections that wait, as where the backlog of a server is full."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.faults._covered import is_first_of_connection
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["FullBacklog"]


@final
@attrs.frozen
class FullBacklog:
    """New connections wait, as for a server that does not accept. Open ones go on.

    Their SYNs are lost, and sent again after 1, 3, 7, 15 … seconds: after the end of
    the fault, the next one gets through. After 127 seconds they time out (ETIMEDOUT).
    """

    @classmethod
    def draw(cls, _source: random.Random) -> FullBacklog:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def drop(segment: Segment, passage: Passage) -> None:
            if is_first_of_connection(segment):
                passage.lost = "the accept queue is full"

        return network.rules.add_wire(target, drop)
