"""Short writes: each takes a few bytes at most."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import whole
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Target, TcpEnd, VirtualNetwork

__all__ = ["ShortWrites"]


@final
@attrs.frozen
class ShortWrites:
    """A write takes at most a few bytes, whatever room there is.

    Attributes:
        size: How many bytes at most.
    """

    size: int = attrs.field(default=1, validator=whole(1))

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> ShortWrites:
        """Draw one of up to 100 bytes."""
        return cls(source.randint(1, 100))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers: on writes of what goes that way."""

        def limit(_end: TcpEnd) -> int:
            return self.size

        return network.rules.add_write(target, limit)
