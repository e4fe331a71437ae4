"""One error for many tasks: each raises a copy of its own.

Whoever raises an exception adds to its traceback. Where several tasks raised the same
one, or one task again and again, that would grow without end, hold all their frames,
and tell of calls that have nothing to do with each other.
"""

from __future__ import annotations

import copy
from typing import TypeVar

__all__ = ["copied"]

ErrorT = TypeVar("ErrorT", bound=Exception)


def copied(error: ErrorT) -> ErrorT:
    """Copy an error, with its cause, and the way that it has come so far.

    One that cannot be copied is returned itself: it may be a user's, like nothing else.
    """
    try:
        twin = copy.copy(error)
        twin.__cause__, twin.__context__ = error.__cause__, error.__context__
        twin.__suppress_context__ = error.__suppress_context__
        return twin.with_traceback(error.__traceback__)
    except Exception:  # noqa: BLE001 - of the user's class
        return error
