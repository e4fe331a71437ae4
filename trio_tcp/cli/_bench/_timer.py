"""Sleep until a moment, more exactly than Trio's own sleep does.

Trio waits in ``epoll_wait``, which counts in milliseconds, rounded up: so a sleep ends
up to a millisecond late, which may be ten times what a server takes for a reply. A
timer of Linux that is waited for as a descriptor, timerfd_create(2), counts in
nanoseconds. Python has it in `os` since 3.13; for older ones it is taken from the C
library.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

import trio

__all__ = ["SleepUntil", "open_timer"]

SleepUntil: TypeAlias = Callable[[float], Awaitable[None]]
"""As `trio.sleep_until`."""

SOON: Final = 2e-9
"""Seconds: a timer of 0 would be none."""


ITIMERSPEC: Final = struct.Struct("@llll")
"""Seconds and nanoseconds, between ticks, and until the first."""


@contextmanager
def open_timer() -> Generator[SleepUntil, None, None]:
    """Make a sleep for one task at a time; where there is no such timer, Trio's own.

    Example::

        with open_timer() as sleep_until:
            await sleep_until(trio.current_time() + 0.0001)
    """
    if sys.platform != "linux":
        yield trio.sleep_until
        return
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:  # a sandbox may forbid it
        yield trio.sleep_until
        return

    async def sleep_until(deadline: float) -> None:
        seconds = deadline - trio.current_time()
        if seconds <= 0:
            await trio.lowlevel.checkpoint()
            return
        whole, fraction = divmod(max(seconds, SOON), 1)
        spec = ITIMERSPEC.pack(0, 0, int(whole), int(fraction * 1e9))
        # Set anew, it is not readable before the new time has come.
        if libc.timerfd_settime(fd, 0, spec, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        await trio.lowlevel.wait_readable(fd)

    try:
        yield sleep_until
    finally:
        os.close(fd)
