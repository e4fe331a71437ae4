"""How long a stream has taken nothing of what is to be sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from trio_tcp._patience import Patience
from trio_tcp._timers import Timers

__all__ = ["Stall"]


@final
class Stall:
    """The clock of `Timeouts.write`. It must be closed.

    Args:
        timers: of the group.
        patience: has the timeouts.
        expired: called when it was too long.
    """

    __slots__ = ("_expired", "_patience", "_since", "_timers", "deadline", "looked_at")

    def __init__(
        self, timers: Timers, patience: Patience, expired: Callable[[], None]
    ) -> None:
        self._timers = timers
        self._patience = patience
        self._expired = expired
        self.deadline: float = math.inf
        self.looked_at: float = math.inf
        timers.open()
        self._since = math.inf

    def start(self) -> None:
        """Start the clock anew: the stream is to take something."""
        self._since = self._timers.now()
        self.rearm()

    def rearm(self) -> None:
        """Set the clock by the timeouts as they are now."""
        self.deadline = self._since + self._patience.timeouts.write
        if self.deadline < self.looked_at:
            self._timers.look(self)

    def stop(self) -> None:
        """Stop the clock: nothing is to be taken."""
        self._since = self.deadline = math.inf

    def close(self) -> None:
        """Stop for good."""
        self._timers.close(self)

    def expire(self) -> None:
        """It was too long."""
        self._expired()
