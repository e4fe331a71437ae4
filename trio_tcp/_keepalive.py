"""TCP's own keepalive, as options of a socket.

Linux, macOS from Python 3.10 on, and Windows 10 have the options of keepalive under one
name or another; `TCP_USER_TIMEOUT` is Linux's alone.
"""

from __future__ import annotations

import math
import socket
from typing import Final, TypeAlias

from trio_tcp._kinds import check_kind
from trio_tcp._options import MAX_USER_TIMEOUT, KeepAlive

__all__ = ["SocketOption", "keepalive_options"]

SocketOption: TypeAlias = tuple[int, int, int]
"""The arguments of `socket.socket.setsockopt`: level, option and value."""

MILLISECONDS: Final = 1000


def keepalive_options(keepalive: KeepAlive | None) -> list[SocketOption]:
    """Return what to set on a socket that connects or listens; None is nothing.

    What a listening socket has, those that it accepts inherit.

    Raises:
        ValueError: this system cannot do that.
        TypeError: this is no `KeepAlive`.
    """
    if keepalive is None:
        return []
    check_kind("keepalive", keepalive, KeepAlive)
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        # What macOS calls TCP_KEEPALIVE is TCP_KEEPIDLE elsewhere.
        _tcp_option(keepalive.idle, "TCP_KEEPIDLE", "TCP_KEEPALIVE"),
        _tcp_option(keepalive.interval, "TCP_KEEPINTVL"),
        _tcp_option(keepalive.count, "TCP_KEEPCNT"),
    ]
    seconds = keepalive.user_timeout
    if seconds is None and hasattr(socket, "TCP_USER_TIMEOUT"):
        noticed = keepalive.idle + keepalive.interval * keepalive.count
        seconds = min(noticed, MAX_USER_TIMEOUT)
    if seconds is not None and seconds < math.inf:
        milliseconds = math.ceil(seconds * MILLISECONDS)
        options.append(_tcp_option(milliseconds, "TCP_USER_TIMEOUT"))
    return options


def _tcp_option(value: int, *names: str) -> SocketOption:
    for name in names:
        option: int | None = getattr(socket, name, None)
        if option is not None:
            return socket.IPPROTO_TCP, option, value
    raise ValueError(f"keepalive: this system has no {names[0]}")
