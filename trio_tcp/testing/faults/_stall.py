"""Programs that read nothing for a while, as if they were busy."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.network import Target, TcpEnd, VirtualNetwork

__all__ = ["Stall"]


@final
@attrs.frozen
class Stall:
    """Programs can read nothing, as if they were busy with something else.

    What arrives is acknowledged, until the reader's buffer is full and its window
    shut; then the writer waits too. At the end, everything is read.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> Stall:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers: on reads of what comes that way."""
        stalled: dict[TcpEnd, None] = {}

        def nothing(end: TcpEnd) -> int:
            stalled[end] = None
            return 0

        end_stall = network.rules.add_read(target, nothing)

        def end_and_wake() -> None:
            end_stall()
            for end in stalled:
                end.receiving.readable.wake()

        return end_and_wake
