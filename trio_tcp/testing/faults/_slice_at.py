"""Reads that end at given places of the stream."""

from __future__ import annotations

import random
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import final

import attrs

from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Target, TcpEnd, VirtualNetwork

__all__ = ["SliceAt"]


def _in_order(offsets: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(offsets))


def _are_above_zero(
    _: object, attribute: attrs.Attribute[tuple[int, ...]], value: tuple[int, ...]
) -> None:
    if value and value[0] < 1:
        raise ValueError(f"{attribute.name} must be above zero, not {value[0]}")


@final
@attrs.frozen
class SliceAt:
    """No read goes past certain places of the stream.

    ``SliceAt([3, 7])`` gives ten bytes as three, four and three, to test a parser
    with the cut that it got wrong.

    Attributes:
        offsets: The places: how many bytes of the connection come before each, in one
            direction. They count from the beginning of the connection.
    """

    offsets: tuple[int, ...] = attrs.field(
        converter=_in_order, validator=_are_above_zero
    )

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> SliceAt:
        """Draw up to nine places in the first kibibyte."""
        return cls(source.sample(range(1, 1024), source.randint(1, 9)))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers: on reads of what comes that way."""

        def limit(end: TcpEnd) -> int:
            taken = end.receiving.taken
            following = bisect_right(self.offsets, taken)
            if following == len(self.offsets):
                return sys.maxsize
            return self.offsets[following] - taken

        return network.rules.add_read(target, limit)
