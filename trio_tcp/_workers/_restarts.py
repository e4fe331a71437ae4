"""When to replace a worker that has died: decided by how long it was there."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import final

from trio_tcp._reconnecting import Backoff

__all__ = ["Restarts"]


@final
class Restarts:
    """The deaths in one slot.

    Attributes:
        in_a_row: how many, none of which was healthy before.
    """

    def __init__(self, backoff: Backoff, random: Random) -> None:
        self.in_a_row = 0
        self._backoff = backoff
        self._random = random
        self._delays: Iterator[float] = backoff.delays(random)

    def delay_after(self, seconds_ready: float) -> float:
        """Take note of a death; return how many seconds to wait.

        Args:
            seconds_ready: how long the worker was ready; 0 if it never was.
        """
        if seconds_ready >= self._backoff.healthy:
            self.in_a_row = 0
            self._delays = self._backoff.delays(self._random)
        self.in_a_row += 1
        return next(self._delays)

    @property
    def is_exhausted(self) -> bool:
        """Whether it has died as often in a row as may be."""
        return self.in_a_row >= self._backoff.max_attempts
