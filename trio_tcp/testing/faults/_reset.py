"""Open connections that are reset at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.faults._covered import connections
from trio_tcp.testing.network import Target, VirtualNetwork

__all__ = ["Reset"]


@final
@attrs.frozen
class Reset:
    """Every open connection is reset at once, as from something between both ends.

    What was sent before arrives first. Later connections are not touched, and the end
    of the fault changes nothing.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> Reset:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Reset the connections that a target covers."""
        for connection in connections(network, target):
            connection.reset()
        return lambda: None
