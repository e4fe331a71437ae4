"""Backplanes that go on when their connection breaks, whatever it leads to.

From the bottom: `_link` is what Redis, or a test's memory, has to provide. `_sequence`
and `_feed` decide, without doing anything, what of what comes is delivered, and what is
missing and has to be read. `_delivering` does that, `_recalling` asks for a new
subscriber's past, `_unanswered` has what was sent; `_linked` does all this with one
link, and `_reconnecting_backplane` with one after the other.
"""

from trio_tcp._backplane._link import (
    Link,
    LinkLost,
    LinkRefused,
    Numbered,
    OpenLink,
    Plain,
    State,
)
from trio_tcp._backplane._reconnecting_backplane import (
    ReconnectingBackplane,
    connected,
)
from trio_tcp._backplane._statistics import BackplaneStatistics

__all__ = [
    "BackplaneStatistics",
    "Link",
    "LinkLost",
    "LinkRefused",
    "Numbered",
    "OpenLink",
    "Plain",
    "ReconnectingBackplane",
    "State",
    "connected",
]
