"""The time of day in a simulation: virtual, and it begins with the year 2000.

`time.time` and `time.monotonic`, and their ``_ns``, follow the virtual clock, for the
thread of the simulation alone: a cache that expires, a token that is valid for an hour
and the times in the log are then as repeatable as the rest. Those who have taken the
functions by name before (``from time import time``) keep the real ones, as the
test runners do. Real stay also `time.perf_counter`, with which people measure how long
their code takes, and `datetime.datetime.now`, which asks the system by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from trio_tcp.testing.simulation._replaced import replaced

__all__ = ["EPOCH", "virtual_wall_clock"]

EPOCH: Final = 946_684_800
"""2000-01-01T00:00:00Z, in seconds of Unix time."""

_T = TypeVar("_T")


@contextmanager
def virtual_wall_clock(clock: trio.abc.Clock) -> Generator[None, None, None]:
    """Let this thread's time of day follow a clock, until the end of the block."""
    thread = threading.get_ident()
    now = clock.current_time

    def here(virtual: Callable[[], _T], real: Callable[[], _T]) -> Callable[[], _T]:
        return lambda: virtual() if threading.get_ident() == thread else real()

    with replaced(
        time,
        time=here(lambda: EPOCH + now(), time.time),
        time_ns=here(lambda: EPOCH * 10**9 + round(now() * 1e9), time.time_ns),
        monotonic=here(now, time.monotonic),
        monotonic_ns=here(lambda: round(now() * 1e9), time.monotonic_ns),
    ):
        yield
