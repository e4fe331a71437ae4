"""What a virtual socket does not have, and says so."""

from __future__ import annotations

import errno
import socket

from trio_tcp.testing.network._os_error import os_error

__all__ = ["check_send_flags", "is_peek", "lacks"]


def is_peek(flags: int) -> bool:
    """Say whether bytes are to be read without taking them.

    Raises:
        OSError: EOPNOTSUPP, the flags ask for more than that.
    """
    if flags & ~(socket.MSG_PEEK | socket.MSG_DONTWAIT):
        raise lacks("a recv with flags other than MSG_PEEK")
    return bool(flags & socket.MSG_PEEK)


def check_send_flags(flags: int) -> None:
    """Refuse flags that would change what `send` does.

    Raises:
        OSError: EOPNOTSUPP.
    """
    if flags & ~(socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT):
        raise lacks("a send with flags other than MSG_NOSIGNAL")


def lacks(what: str) -> OSError:
    """Make the error for a thing that there is only on real sockets."""
    return os_error(errno.EOPNOTSUPP, f"a virtual socket does not have {what}")
