"""What every way to a connection is given, checked before anything is opened."""

from __future__ import annotations

from trio_tcp._kinds import check_codec, check_function, check_kind
from trio_tcp._options import Timeouts

__all__ = ["check_arguments"]


def check_arguments(*, codec: object, timeouts: object, observer: object) -> None:
    """Check what messages are made of, how long to wait, and who is told of it.

    Raises:
        TypeError: one of them is of another kind.
    """
    check_codec("codec", codec)
    check_kind("timeouts", timeouts, Timeouts)
    check_function("observer", observer)
