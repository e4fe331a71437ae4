"""Hosts that stop one after the other, and come back in another order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from trio_tcp.testing.faults._plan import Plan, Step
from trio_tcp.testing.network import Fault, Target

__all__ = ["swizzle"]


def swizzle(
    source: random.Random,
    fault: Fault,
    on: Sequence[Target],
    *,
    seconds: float = 10.0,
    at: float = 0.0,
) -> Plan:
    """Draw a plan that stops some of several targets, one by one.

    They come back one by one as well, in an order of its own. That finds what depends
    on who was there first, and who has missed what.

    Args:
        source: What it is drawn from; on a network, ``network.random``.
        fault: What stops one: `Partition`, `Hold`, `Stall`, `Crash` …
        on: What may be stopped; a part of it is drawn, at least one.
        seconds: How long it takes in all. They stop in the first half, and come back
            in the second.
        at: When it begins, in seconds from the beginning of the plan.
    """
    stopped = source.sample(on, source.randint(1, len(on)))
    returns = source.sample(range(len(stopped)), len(stopped))
    pace = seconds / 2 / len(stopped)
    return Plan(
        Step(
            at=at + i * pace,
            seconds=seconds / 2 + (returns[i] + 1 - i) * pace,
            fault=fault,
            on=target,
        )
        for i, target in enumerate(stopped)
    )
