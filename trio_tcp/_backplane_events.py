"""What happens between a hub and those on other machines, as frozen records."""

from __future__ import annotations

import logging

import attrs

from trio_tcp._events import DescribedEvent

__all__ = ["BackplaneConnected", "BackplaneLost", "BackplaneRefused"]


@attrs.frozen(kw_only=True)
class BackplaneConnected(DescribedEvent):
    """A backplane reaches the other machines, for the first time or again.

    Attributes:
        name: of what joins them: an address, without a password.
        lost_seconds: how long it did not; since it was opened, the first time.
        has_forgotten: what joins them has lost its memory, or a part of it. All
            subscribers are told, by ``Lagged(None)``.
    """

    name: str
    lost_seconds: float
    has_forgotten: bool

    def describe(self) -> str:
        """Return a line for the log."""
        memory = ", which has lost its memory" if self.has_forgotten else ""
        return f"connected to the backplane at {self.name}{memory}"


@attrs.frozen(kw_only=True)
class BackplaneLost(DescribedEvent):
    """A backplane does not reach the other machines any more, or still does not.

    Reported for each attempt. The hub goes on alone meanwhile.

    Attributes:
        name: of what joins them: an address, without a password.
        error: why.
        attempts: 1 when it was lost just now; one more for each that failed since.
        retry_seconds: until the next attempt.
    """

    name: str
    error: Exception
    attempts: int
    retry_seconds: float

    @property
    def level(self) -> int:
        """A warning the first time, and then at DEBUG."""
        return logging.WARNING if self.attempts == 1 else logging.DEBUG

    def describe(self) -> str:
        """Return a line for the log."""
        again = f"trying again in {self.retry_seconds:.1f} s"
        return f"no backplane at {self.name} ({self.error}); {again}"


@attrs.frozen(kw_only=True)
class BackplaneRefused(DescribedEvent):
    """What joins the machines is there, but has refused a publication.

    It may be out of memory, or read-only. Reported once, until it takes one.

    Attributes:
        name: of what joins them: an address, without a password.
        error: what it said.
    """

    name: str
    error: Exception

    @property
    def level(self) -> int:
        """A warning."""
        return logging.WARNING

    def describe(self) -> str:
        """Return a line for the log."""
        return f"the backplane at {self.name} takes nothing: {self.error}"
