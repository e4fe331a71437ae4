"""What the connections of one server have in common. A client's has a group of its own.

There is one `Group` in the nursery in which the connections live: it has the tasks that
work for them, the clock that watches their deadlines, the budget of bytes that they
share, and the news that they are to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import trio

from trio_tcp._budget import Budget
from trio_tcp._events import Observer
from trio_tcp._timers import Timers
from trio_tcp._writers import Writers

__all__ = ["Group"]

PASSES_TO_LOOK: Final = 5
"""Of the scheduler, until what a stream has is received: two if it is in memory, and
before that three for one who watches its end, and reads, to make way."""


@final
class Group:
    """What the connections of one server share.

    Attributes:
        observer: is told what happens to them.
        writers: tasks that write for them.
        timers: their deadlines.
        budget: of bytes held.
        draining: set when they are to end in order.
        is_draining: the same, for the fast path.
    """

    __slots__ = (
        "_holders",
        "budget",
        "draining",
        "is_draining",
        "observer",
        "timers",
        "writers",
    )

    def __init__(self, nursery: trio.Nursery, observer: Observer) -> None:
        self.observer: Observer = observer
        self.writers: Writers = Writers(nursery)
        self.timers: Timers = Timers(self.writers)
        self.budget: Budget = Budget()
        self.draining: trio.Event = trio.Event()
        self.is_draining: bool = False
        self._holders = 0

    def hold(self) -> None:
        """Keep the clock running until the matching `release`."""
        self._holders += 1

    def release(self) -> None:
        """Let go; the last one who does stops the clock."""
        self._holders -= 1
        if not self._holders:
            self.timers.stop()

    def drain(self) -> None:
        """Tell everybody that it is time to end."""
        self.is_draining = True
        self.draining.set()

    def call_later(self, call: Callable[[], None]) -> None:
        """Have something called when all is received that has arrived now."""

        async def look_first() -> None:
            for _ in range(PASSES_TO_LOOK):
                await trio.lowlevel.cancel_shielded_checkpoint()
            call()

        self.writers.start(look_first)
