"""Deadlines that nearly always move on before they are met: kept lazily.

A connection's deadline moves with every message. To put each new one into a heap, or a
cancel scope around each wait, would cost more than the message itself. So a `Timer` has
two times: its ``deadline``, an attribute that is free to change, and the moment at
which it is looked at again. Moving the deadline back only sets the attribute; when it
is looked at too early, it is put off. One task sleeps for all timers of a group.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Final, Protocol, final

import trio

from trio_tcp._writers import Writers

__all__ = ["Timer", "Timers"]

PRUNE_ABOVE: Final = 1000
"""Entries of timers that are gone are kept while they are few; as Trio does it."""


class Timer(Protocol):
    """Is called at a deadline that may move.

    Attributes:
        deadline: when, on Trio's clock; `math.inf` for never. Its owner may assign it;
            if it is before ``looked_at``, call `Timers.look`.
        looked_at: when the timer is looked at next; `math.inf` at first.
    """

    deadline: float
    looked_at: float

    def expire(self) -> None:
        """The deadline is over."""
        ...


@final
class Timers:
    """The timers of a group of connections, and the task that waits for them.

    Attributes:
        now: returns the time on Trio's clock, as `trio.current_time`, but faster.
    """

    __slots__ = (
        "_active",
        "_heap",
        "_numbers",
        "_running",
        "_sleep",
        "_wanted",
        "_writers",
        "now",
    )

    def __init__(self, writers: Writers) -> None:
        self._writers = writers
        self.now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._sleep = trio.CancelScope()
        self._running = False
        self._wanted = False  # the task may sleep on, with timers or without
        self._active = 0

    def open(self) -> None:
        """Count a timer. It must be closed."""
        self._active += 1

    def close(self, timer: Timer) -> None:
        """Stop a timer for good."""
        timer.deadline = math.inf
        timer.looked_at = -math.inf  # what is in the heap of it counts no more
        self._active -= 1
        if not self._active:
            self._heap.clear()
        elif len(self._heap) > PRUNE_ABOVE + 2 * self._active:
            self._heap = [entry for entry in self._heap if _is_valid(entry)]
            heapq.heapify(self._heap)

    def stop(self) -> None:
        """End the task: all timers are closed. The next one starts it again."""
        self._wanted = False
        self._heap.clear()
        self._sleep.cancel()

    def look(self, timer: Timer) -> None:
        """Have a timer looked at when its deadline is due as it is now."""
        self.look_at(timer, timer.deadline)

    def look_at(self, timer: Timer, moment: float) -> None:
        """Have a timer looked at then: not after its deadline, but perhaps before."""
        timer.looked_at = moment
        heapq.heappush(self._heap, (moment, next(self._numbers), timer))
        self._wanted = True
        if not self._running:
            self._running = True
            self._writers.start(self._run)
        elif self._heap[0][2] is timer:
            self._sleep.deadline = moment

    async def _run(self) -> None:
        while self._wanted:
            first = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=first) as self._sleep:
                await trio.sleep_forever()
            self._expire_all()
        self._running = False

    def _expire_all(self) -> None:
        now = self.now()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            timer = entry[2]
            if not _is_valid(entry):
                continue
            timer.looked_at = math.inf
            if timer.deadline > now:
                if timer.deadline < math.inf:
                    self.look(timer)
            else:
                timer.deadline = math.inf
                timer.expire()


def _is_valid(entry: tuple[float, int, Timer]) -> bool:
    """Say whether the timer has not been told to be looked at earlier, or never."""
    return entry[0] == entry[2].looked_at
