"""What will happen on the network, and when: the one queue of future events."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any, final

__all__ = ["Timeline"]


@final
class Timeline:
    """Callbacks in the order of their times, and of their making where times agree.

    It holds the events, and knows no clock: whoever drives the network calls
    `run_due` when their time has come.
    """

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = itertools.count()
        self.on_earlier: Callable[[], None] = lambda: None
        """Called when an event is added that comes before all others."""

    def at(self, time: float, callback: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - what the callback takes
        """Have a callback called at a time, in seconds of Trio's clock.

        There is no way to take an event back: a callback checks whether it still
        has something to do.
        """
        events = self._events
        is_earlier = not events or time < events[0][0]
        heapq.heappush(events, (time, next(self._serial), callback, args))
        if is_earlier:
            self.on_earlier()

    @property
    def next_time(self) -> float:
        """When the next event is due; `math.inf` if there is none."""
        return self._events[0][0] if self._events else math.inf

    def run_due(self, now: float) -> None:
        """Call every callback whose time has come, also those added meanwhile."""
        events = self._events
        while events and events[0][0] <= now:
            _, _, callback, args = heapq.heappop(events)
            callback(*args)
