"""Short reads: each gives a few bytes at most."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp._validators import whole
from trio_tcp.testing.network import Target, TcpEnd, VirtualNetwork

__all__ = ["Slice"]


@final
@attrs.frozen
class Slice:
    """A read gives at most a few bytes, however many there are.

    ``Slice(1)`` gives one byte at a time, ``Slice(1, 9)`` sizes that are drawn anew
    for each read.

    Attributes:
        smallest: The smallest limit of a read, in bytes.
        largest: The largest; by default, the smallest.
    """

    smallest: int = attrs.field(default=1, validator=whole(1))
    largest: int = attrs.field(
        default=attrs.Factory(lambda self: self.smallest, takes_self=True),
        validator=whole(1),
    )

    def __attrs_post_init__(self) -> None:
        if self.largest < self.smallest:
            raise ValueError(f"largest is {self.largest}: less than {self.smallest}")

    def __str__(self) -> str:
        is_one = self.largest == self.smallest
        return f"Slice({self.smallest}{'' if is_one else f', {self.largest}'})"

    @classmethod
    def draw(cls, source: random.Random) -> Slice:
        """Draw one of few bytes: only one, in a third of all cases."""
        return cls(1, source.choice((1, source.randint(2, 10), source.randint(11, 99))))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers: on reads of what comes that way."""
        drawn: dict[TcpEnd, tuple[int, int]] = {}

        def limit(end: TcpEnd) -> int:
            # A socket asks more than once before it reads: the answer is the same.
            taken, size = drawn.get(end, (-1, 0))
            if taken != end.receiving.taken:
                size = network.random.randint(self.smallest, self.largest)
                drawn[end] = (end.receiving.taken, size)
            return size

        return network.rules.add_read(target, limit)
