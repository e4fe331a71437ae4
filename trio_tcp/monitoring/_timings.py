"""Functions that are timed: how long each call takes, how many fail.

This is the one thing here that costs something for each message, so it is written out
where it happens: two looks at the clock, one search in a short tuple, two additions.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter
from typing import Any, Final, TypeVar, cast, final

import trio
from prometheus_client.metrics_core import Metric

from trio_tcp._respond import is_async
from trio_tcp.monitoring._figure import Figure, Sheet
from trio_tcp.monitoring._histogram import WAITS, Histogram

__all__ = ["TIMING_FIGURES", "Timings"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

FUNCTION: Final = ("function",)

SECONDS: Final = Figure(
    "request_duration_seconds",
    "histogram",
    "How long a timed function took for a request, failed or not.",
    labels=FUNCTION,
)
FAILED: Final = Figure(
    "requests_failed",
    "counter",
    "Exceptions that a timed function has raised.",
    labels=FUNCTION,
)
UNDER_WAY: Final = Figure(
    "requests_under_way",
    "gauge",
    "Calls of a timed async function that have not ended yet.",
    labels=FUNCTION,
)

TIMING_FIGURES: Final = (SECONDS, FAILED, UNDER_WAY)


@final
class _Timing:
    """What is known of one function."""

    __slots__ = ("failed", "seconds", "under_way")

    def __init__(self) -> None:
        self.seconds = Histogram(WAITS)
        self.failed = 0
        self.under_way = 0


@final
class Timings:
    """The functions that are timed, by their names."""

    def __init__(self) -> None:
        self._timings: dict[str, _Timing] = {}

    def timed(self, function: FunctionT) -> FunctionT:
        """Wrap a function."""
        timing = self._timings.setdefault(_name(function), _Timing())
        wrap = _timed_async if is_async(function) else _timed_plain
        return cast("FunctionT", wrap(function, timing))

    def collect(self) -> Iterator[Metric]:
        """Show them all."""
        timings = self._timings.items()
        yield SECONDS.histograms({(name,): timing.seconds for name, timing in timings})
        sheet = Sheet((FAILED, UNDER_WAY))
        for name, timing in timings:
            sheet.add(FAILED, timing.failed, name)
            sheet.add(UNDER_WAY, timing.under_way, name)
        yield from sheet.collect()


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name: str = getattr(function, "__name__", type(function).__name__)
    return name


def _timed_plain(function: Callable[..., Any], timing: _Timing) -> Callable[..., Any]:
    """Time a function that never waits, by the only clock that moves meanwhile."""
    seconds = timing.seconds
    bounds, counts = seconds.bounds, seconds.counts

    @functools.wraps(function)
    def timed(*args: object) -> object:
        began = perf_counter()
        try:
            return function(*args)
        except Exception:
            timing.failed += 1
            raise
        finally:
            took = perf_counter() - began
            counts[bisect_left(bounds, took)] += 1
            seconds.sum += took

    return timed


def _timed_async(
    function: Callable[..., Awaitable[Any]], timing: _Timing
) -> Callable[..., Awaitable[Any]]:
    """Time a function that waits, by Trio's clock, which tests can turn."""

    @functools.wraps(function)
    async def timed(*args: object) -> object:
        began = trio.current_time()
        timing.under_way += 1
        try:
            return await function(*args)
        except Exception:
            timing.failed += 1
            raise
        finally:
            timing.under_way -= 1
            timing.seconds.observe(trio.current_time() - began)

    return timed
