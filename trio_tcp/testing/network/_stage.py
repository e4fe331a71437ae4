"""The states of one end of a TCP connection, as far as they matter here."""

from __future__ import annotations

import enum

__all__ = ["Stage"]


class Stage(enum.Enum):
    """How far an end is. Which of its directions have ended is kept beside it."""

    SYN_SENT = enum.auto()
    SYN_RECEIVED = enum.auto()
    OPEN = enum.auto()
    TIME_WAIT = enum.auto()
    CLOSED = enum.auto()
