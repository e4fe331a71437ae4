"""How long to wait before trying again: longer each time, and never all at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Final, Literal

import attrs

from trio_tcp._kinds import one_of
from trio_tcp._validators import count, duration, factor, span

__all__ = ["DEFAULT_BACKOFF", "Backoff"]


@attrs.frozen(kw_only=True)
class Backoff:
    """How often to try a server that does not answer, and when to trust it again.

    Clients that lose their server lose it at the same moment. If they all waited for
    the same time they would come back as one wave, again and again, which may be what
    keeps the server down. ``jitter`` spreads them.

    Attributes:
        initial: seconds; the first delay, or the most it can be.
        maximum: seconds; no delay is longer.
        factor: by which delays grow each time.
        jitter: how delays are drawn. ``"full"``: evenly from zero to what it would be
            without jitter. ``"decorrelated"``: evenly from ``initial`` to
            ``factor + 1`` times the last delay, so never quite at once. ``"none"``: not
            at all. Full jitter makes the least work in all, and decorrelated jitter
            little more ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        healthy: seconds that the server must be there, from when a connection is
            prepared, before a failure is not one more in a row, but the first. A
            server that accepts and then crashes is not healthy.
        max_attempts: failures in a row after which it gives up; `math.inf` never does.

    Raises:
        ValueError: a number makes no sense, or ``initial`` is more than ``maximum``.

    Example::

        Backoff(initial=0.1, maximum=5, max_attempts=20)
    """

    initial: float = attrs.field(default=0.5, validator=span)
    maximum: float = attrs.field(default=30.0, validator=span)
    factor: float = attrs.field(default=2.0, validator=factor)
    jitter: Literal["full", "decorrelated", "none"] = attrs.field(
        default="full",
        validator=one_of("full", "decorrelated", "none"),
    )
    healthy: float = attrs.field(default=10.0, validator=duration)
    max_attempts: float = attrs.field(default=math.inf, validator=count)

    def __attrs_post_init__(self) -> None:
        """Check what depends on two of the numbers.

        Raises:
            ValueError: the first delay is longer than the longest.
        """
        if self.initial > self.maximum:
            raise ValueError(
                f"initial ({self.initial:g} s) must not be more than "
                f"maximum ({self.maximum:g} s)"
            )

    def delays(self, random: Random) -> Iterator[float]:
        """Iterate without end over the seconds to wait after each failure in a row.

        Args:
            random: where jitter comes from. The same state gives the same delays.
        """
        delay = self.initial
        if self.jitter == "decorrelated":
            while True:
                upper = (self.factor + 1) * delay
                delay = min(self.maximum, random.uniform(self.initial, upper))
                yield delay
        while True:
            yield delay if self.jitter == "none" else random.uniform(0, delay)
            delay = min(self.maximum, self.factor * delay)


DEFAULT_BACKOFF: Final = Backoff()
"""Where a user says nothing."""
