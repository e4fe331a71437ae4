"""A network partition: groups of hosts that do not hear each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import final

import attrs

from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Segment

__all__ = ["Partition"]


def _as_groups(groups: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group) for group in groups)


def _are_apart(
    _: object,
    attribute: attrs.Attribute[tuple[tuple[str, ...], ...]],
    groups: tuple[tuple[str, ...], ...],
) -> None:
    names = [name for group in groups for name in group]
    if len(groups) == 1 or len(names) > len(set(names)):
        raise ValueError(f"{attribute.name} must be two or more, and apart: {groups}")


@final
@attrs.frozen
class Partition:
    """Hosts do not hear each other, until it ends.

    On a link one host does not hear the other, which hears it; on a path neither does;
    on a host, nobody hears anybody through it. ``Partition([["a", "b"], ["c"]])``
    parts groups of hosts. What travels already arrives. No byte is ever skipped: what
    was lost is sent again afterwards, and a connection that has given up is broken.

    Attributes:
        groups: Names of hosts: those of different groups do not hear each other, and
            hosts of no group hear everybody. Without groups, all that the target
            covers is lost, except what a host sends to itself.
    """

    groups: tuple[tuple[str, ...], ...] = attrs.field(
        default=(), converter=_as_groups, validator=_are_apart
    )

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, _source: random.Random) -> Partition:
        """Draw nothing: the target decides."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""
        group_of = {name: i for i, group in enumerate(self.groups) for name in group}

        def part(segment: Segment, passage: Passage) -> None:
            sender, receiver = segment.sender, segment.receiver
            if group_of:
                here, there = group_of.get(sender), group_of.get(receiver)
                is_parted = here != there and None not in {here, there}
            else:
                is_parted = sender != receiver
            if is_parted:
                passage.lost = "parted"

        return network.rules.add_wire(target, part)
