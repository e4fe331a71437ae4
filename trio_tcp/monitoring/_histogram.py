"""Durations, counted by size: as cheap as can be where each request is measured.

(prometheus_client's own takes a lock and four calls for each.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, final

__all__ = ["LIFETIMES", "WAITS", "Histogram"]

WAITS: Final = tuple(
    float(f"{digits}e{exponent}") for exponent in range(-4, 2) for digits in (1, 2.5, 5)
)
"""Bounds in seconds for what somebody waits for, a reply or a handshake: from 0.1 ms
to 50 s."""

LIFETIMES: Final = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)
"""Bounds in seconds for how long a connection lasts."""


@final
class Histogram:
    """How many values were at most as large as each bound.

    Attributes:
        bounds: in ascending order.
        counts: of the values up to each bound and above the one before; the last are
            above all bounds.
        sum: of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds: Sequence[float] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
