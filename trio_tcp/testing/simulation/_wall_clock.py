"""The time of day in a simulation: virtual, and it begins with the year 2000.

`time.time` and `time.monotonic`, and their ``_ns``, follow the virtual clock, for the
thread of the simulation alone, and so do the functions of `time` that take a moment and
mean now without one: a cache that expires, a token that is valid for an hour and the
times in the log are then as repeatable as the rest. Those who have taken the
functions by name before (``from time import time``) keep the real ones, as the
test runners do. Real stay also `time.perf_counter`, with which people measure how long
their code takes, and `datetime.datetime.now`, which asks the system by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar, final

import trio

from trio_tcp.testing.simulation._replaced import replaced
from trio_tcp.testing.traces._pcap import EPOCH

__all__ = ["virtual_wall_clock"]

_T = TypeVar("_T")


@final
class _OfNow(Generic[_T]):
    """A function of `time` whose last argument, if it is left out, is now.

    No function, so that a class that keeps it, as those of logging do, makes no method
    of it.
    """

    def __init__(
        self, real: Callable[..., _T], now: Callable[[], object], before: int = 0
    ) -> None:
        self._real = real
        self._now = now
        self._before = before

    def __call__(self, *arguments: object) -> _T:
        if arguments[self._before :] in {(), (None,)}:
            arguments = (*arguments[: self._before], self._now())
        return self._real(*arguments)


def _now() -> float:
    return time.time()  # by name, at each call: as the thread has it then


def _local_now() -> time.struct_time:
    return time.localtime()


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
        localtime=_OfNow(time.localtime, _now),
        gmtime=_OfNow(time.gmtime, _now),
        ctime=_OfNow(time.ctime, _now),
        asctime=_OfNow(time.asctime, _local_now),
        strftime=_OfNow(time.strftime, _local_now, before=1),
    ):
        yield
