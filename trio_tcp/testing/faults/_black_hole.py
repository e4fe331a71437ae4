"""Segments that are dropped, of which nobody is told, as by a firewall."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["BlackHole"]


@final
@attrs.frozen
class BlackHole:
    """Everything is lost, and nobody is told.

    New connections are tried again and again, and time out after 127 seconds
    (ETIMEDOUT). Open ones retransmit, and give up after a quarter of an hour. At the
    end, those that have not given up go on with their next retransmission.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> BlackHole:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""

        def swallow(_segment: Segment, passage: Passage) -> None:
            passage.lost = "swallowed by a black hole"

        return network.rules.add_wire(target, swallow)
