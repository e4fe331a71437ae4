"""When a fault was in force, and on what."""

from __future__ import annotations

import attrs

__all__ = ["FaultSpan"]


@attrs.define(eq=False)
class FaultSpan:
    """A fault, and from when to when it was in force.

    Attributes:
        name: What the fault is, with its numbers: ``Partition()``.
        where: What it was in force on, in words: ``alice -> bob``.
        hosts: The names of the hosts that it touches, in the order of the network.
        begin: When it began, in seconds of the simulation.
        end: When it ended; None while it is in force.
    """

    name: str
    where: str
    hosts: tuple[str, ...]
    begin: float
    end: float | None = None
