"""When requests are due.

In an *open loop* requests come as users do, whether or not the last was answered: when
each is due is known beforehand. Its latency counts from then, and not from when it
could be sent, as nobody's wait is left out just because the server made the load wait.
Leaving those out is known as coordinated omission.

In a *closed loop* as many requests are in flight as the connections allow, and a new
one is due at the moment when a reply has come. There is no plan that a slow server
could have kept from being carried out, so there is nothing to correct, and a stall
shows as one slow request for each that was in flight.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from random import Random
from typing import Protocol, final

__all__ = ["ClosedLoop", "OpenLoop", "Schedule", "poisson", "uniform"]


class Schedule(Protocol):
    """When requests are due, on the clock of Trio.

    Attributes:
        next_due: when the next one is; infinite if there are no more.
    """

    next_due: float

    def take(self, now: float, /) -> float | None:
        """Take the next request, and return when it was due.

        None if it is not due yet, or there are no more: then ``next_due`` is infinite.
        """
        ...

    def stop(self, now: float, /) -> None:
        """Let no more requests be due from now on; those that were are left."""
        ...

    def cut(self, now: float, /) -> int:
        """Give up the requests that were due and are not taken; return how many."""
        ...


@final
class ClosedLoop:
    """A request is due whenever there is room for one.

    Args:
        begin: when requests begin to count.
        end: when no more are due.
        requests: how many that count are due at most.

    Attributes:
        next_due: minus infinity, until there are no more.
    """

    __slots__ = ("_begin", "_end", "_left", "next_due")

    def __init__(self, begin: float, end: float, requests: float) -> None:
        self._begin = begin
        self._end = end
        self._left = requests
        self.next_due: float = -math.inf

    def take(self, now: float) -> float | None:
        """Take one, which is due now."""
        if now >= self._begin:
            if now >= self._end or not self._left:
                self.next_due = math.inf
                return None
            self._left -= 1
        return now

    def stop(self, now: float) -> None:
        """Let no more be due."""
        self._end = self._begin = now
        self.next_due = math.inf

    def cut(self, now: float) -> int:
        """Return 0: none is due before it is taken."""
        self.stop(now)
        return 0


@final
class OpenLoop:
    """Requests are due at given times.

    Args:
        times: when, in rising order, without end.
        begin: when requests begin to count.
        end: when no more are due.
        requests: how many that count are due at most.

    Attributes:
        next_due: as of any `Schedule`.
    """

    __slots__ = ("_begin", "_end", "_left", "_times", "next_due")

    def __init__(
        self, times: Iterator[float], begin: float, end: float, requests: float
    ) -> None:
        self._times = times
        self._begin = begin
        self._end = end
        self._left = requests
        self.next_due: float = -math.inf
        self._go_on()

    def _go_on(self) -> None:
        due = next(self._times)
        if due >= self._begin:
            self._left -= 1
        self.next_due = math.inf if due >= self._end or self._left < 0 else due

    def take(self, now: float) -> float | None:
        """Take the next one if it is due."""
        due = self.next_due
        if due > now:
            return None
        self._go_on()
        return due

    def stop(self, now: float) -> None:
        """Let no more be due from now on."""
        self._end = min(self._end, now)
        if self.next_due >= self._end:
            self.next_due = math.inf

    def cut(self, now: float) -> int:
        """Take all that are due, and count those that count."""
        self.stop(now)
        count = 0
        while (due := self.take(now)) is not None:
            count += due >= self._begin
        return count


def uniform(rate: float, start: float) -> Iterator[float]:
    """Yield times in equal distances, the first at once.

    Args:
        rate: how many in a second.
        start: the first.
    """
    for number in itertools.count():
        yield start + number / rate


def poisson(rate: float, start: float, random: Random) -> Iterator[float]:
    """Yield times as of many users who know nothing of each other.

    Args:
        rate: how many in a second, on average.
        start: from when on.
        random: decides. The distances are distributed exponentially.
    """
    time = start
    while True:
        time += random.expovariate(rate)
        yield time
