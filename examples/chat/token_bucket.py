"""A limit on how often: a bucket of tokens, which fills slowly."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

__all__ = ["TokenBucket"]


@final
class TokenBucket:
    """So many at once, and so many a second.

    Args:
        burst: how many it holds; it is full at first.
        rate: how many come in a second.
        now: tells the time in seconds, as `trio.current_time` does.
    """

    def __init__(self, burst: int, rate: float, now: Callable[[], float]) -> None:
        self._burst = burst
        self._rate = rate
        self._now = now
        self._tokens: float = burst
        self._counted_at = now()

    def take(self) -> float:
        """Take a token.

        Returns:
            0, if there was one; else the seconds until there is, and nothing is taken.
        """
        now = self._now()
        earned = (now - self._counted_at) * self._rate
        self._tokens = min(self._burst, self._tokens + earned)
        self._counted_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0
