"""Telling systemd how the service is: the protocol of sd_notify(3).

One datagram with lines of ``NAME=value``, to the Unix socket that ``NOTIFY_SOCKET``
names. Nobody answers, and a service must run as well without it: so nothing here fails.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Final

__all__ = ["notify_systemd", "reloading"]

VARIABLE: Final = "NOTIFY_SOCKET"

SEND_SECONDS: Final = 1.0
"""How long to wait while systemd has too many datagrams to read."""

_remembered: list[str] = []


def notify_systemd(state: str) -> None:
    """Tell systemd the state of this service; where there is none, do nothing.

    The first call takes ``NOTIFY_SOCKET`` out of the environment, so that no process
    started after it speaks for this one, and keeps it for the calls to come.

    Args:
        state: lines of sd_notify(3): ``READY=1``, ``STOPPING=1``, ``STATUS=…`` for
            people to read.
    """
    if (name := os.environ.pop(VARIABLE, None)) is not None:
        _remembered[:] = [name]
    for address in _remembered:
        _send(state, address)


def reloading() -> str:
    """Return the state that says a reload has begun, and when.

    systemd tells by the time, in microseconds of CLOCK_MONOTONIC, that it was not an
    earlier reload (``Type=notify-reload``, systemd.service(5)).
    """
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def _send(state: str, address: str) -> None:
    if not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract names (unix(7))
    # ValueError: a name that no socket can have.
    with (
        suppress(OSError, ValueError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        sock.settimeout(SEND_SECONDS)
        sock.sendto(state.encode(), address)
