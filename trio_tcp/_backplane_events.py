"""What happens between a hub and those on other machines, as frozen records."""

from __future__ import annotations

import attrs

from trio_tcp._events import Event

__all__ = ["BackplaneConnected", "BackplaneLost", "BackplaneRefused"]


@attrs.frozen(kw_only=True)
class BackplaneConnected(Event):
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


@attrs.frozen(kw_only=True)
class BackplaneLost(Event):
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


@attrs.frozen(kw_only=True)
class BackplaneRefused(Event):
    """What joins the machines is there, but has refused a publication.

    It may be out of memory, or read-only. Reported once, until it takes one.

    Attributes:
        name: of what joins them: an address, without a password.
        error: what it said.
    """

    name: str
    error: Exception
