"""What a record is, and who is told of it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Protocol

import attrs

from trio_tcp._printable import printable

__all__ = ["LOGGER", "DescribedEvent", "Event", "Observer", "notify"]

LOGGER = logging.getLogger("trio_tcp")


@attrs.frozen(kw_only=True)
class Event:
    """The base of all records. New kinds, and new fields, may come."""


@attrs.frozen(kw_only=True)
class DescribedEvent(Event):
    """A record that says itself how it reads in the log: those of layers above it."""

    @property
    def level(self) -> int:
        """How much it matters, as `logging` has it."""
        return logging.INFO

    def describe(self) -> str:
        """Return a line for the log."""
        raise NotImplementedError


class Observer(Protocol):
    """Receives each record as it happens. Any function of one argument is one.

    It is called in the middle of things: it must be quick, and must not await. One that
    raises is reported to the log and otherwise ignored.

    A record holds no message, but its ``error`` can quote a part of one, and ``label``
    is the user's: escape both before you write them where a line end or a terminal's
    escape sequence means something.

    Example::

        def observe(event: trio_tcp.Event) -> None:
            if isinstance(event, trio_tcp.HandlerFailed):
                failures.append(event.error)
            trio_tcp.log_events(event)
    """

    def __call__(self, event: Event, /) -> None:
        """Take one record."""
        ...


def notify(observer: Observer, event: Event) -> None:
    """Hand a record to an observer, whose failure must not become the server's."""
    try:
        observer(event)
    except Exception:
        # Nor must that of the log: what writes it can fail, too.
        with suppress(Exception):
            names = printable(repr(observer)), printable(repr(event))
            LOGGER.exception("the observer %s failed on %s", *names)
