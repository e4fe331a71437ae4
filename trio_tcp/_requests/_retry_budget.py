"""How many requests may be sent again: a share of recent traffic, and a few more.

A limit per request ("try three times") triples the load of a server at the very moment
that it cannot carry it. A budget over all requests cannot: when everything fails, the
load grows by its share, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import attrs

from trio_tcp._kinds import check_kind
from trio_tcp._validators import amount, span

__all__ = ["RetryBudget", "RetryTokens"]

SLICES: Final = 10
"""Into which the window is divided to count in: what is older than the window is
forgotten with a delay of a tenth of it."""


@attrs.frozen(kw_only=True)
class RetryBudget:
    """How many requests may be sent again within a time, compared to all.

    Within any ``window`` seconds no more retries are made than
    ``min_per_second * window`` plus ``share`` of the requests of that time.

    The defaults are those of Finagle's ``RetryBudget`` and tower's ``TpsBudget``.

    Attributes:
        window: seconds; what is longer ago counts no more, neither for nor against.
        min_per_second: retries per second that are there in any case, so that a client
            with little traffic can retry at all.
        share: of the requests in the window, as a fraction: 0.2 is one in five. Zero,
            with ``min_per_second=0``, means that nothing is sent again.

    Raises:
        ValueError: ``window`` is not above zero and finite, or another is negative.

    Example::

        RetryBudget(min_per_second=1, share=0.1)
    """

    window: float = attrs.field(default=10.0, validator=span)
    min_per_second: float = attrs.field(default=10.0, validator=amount)
    share: float = attrs.field(default=0.2, validator=amount)


@final
class RetryTokens:
    """The account of one budget: requests pay in, retries take out."""

    __slots__ = ("_balances", "_budget", "_now", "_reserve", "_slice", "_width")

    def __init__(self, budget: RetryBudget, now: Callable[[], float]) -> None:
        """Begin with the reserve alone.

        Args:
            budget: the rules.
            now: returns the time in seconds, on any clock.

        Raises:
            TypeError: these are no rules.
        """
        check_kind("retry_budget", budget, RetryBudget)
        self._budget = budget
        self._now = now
        self._reserve = budget.min_per_second * budget.window
        self._width = budget.window / SLICES
        # One more than the window has, so that none is forgotten too early.
        self._balances = [0.0] * (SLICES + 1)
        self._slice = self._slice_now()

    def deposit(self) -> None:
        """Count a request, which pays for its share of a retry."""
        self._forget()
        self._balances[self._slice % len(self._balances)] += self._budget.share

    def withdraw(self) -> bool:
        """Take what one retry costs; False, and nothing is taken, if there is less."""
        self._forget()
        # Shares such as 0.1 add up to a little less than they should.
        if sum(self._balances) + self._reserve < 1 - 1e-9:
            return False
        self._balances[self._slice % len(self._balances)] -= 1
        return True

    def _slice_now(self) -> int:
        return int(self._now() // self._width)

    def _forget(self) -> None:
        """Forget what was paid in, and taken out, longer ago than the window."""
        current = self._slice_now()
        size = len(self._balances)
        for passed in range(self._slice + 1, min(current, self._slice + size) + 1):
            self._balances[passed % size] = 0.0
        self._slice = current
