"""Durations, counted by size: as cheap as can be where each request is measured.

(prometheus_client's own takes a lock and four calls for each.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, final

__all__ = ["LIFETIMES", "WAITS", "Histogram"]

WAITS: Final = (
    (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05)
    + (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
)  # fmt: skip
"""Bounds in seconds for what somebody waits for: a reply, a handshake."""

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
