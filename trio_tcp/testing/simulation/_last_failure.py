"""The simulation that failed last, kept for whoever writes its trace down."""

from __future__ import annotations

import attrs

from trio_tcp.testing.traces import Trace

__all__ = ["FailedRun", "forget_last_failure", "last_failure", "remember_failure"]


@attrs.frozen(eq=False)
class FailedRun:
    """A simulation that failed.

    Attributes:
        seed: of the run.
        trace: what was sent in it.
    """

    seed: int
    trace: Trace


_failures: list[FailedRun] = []


def remember_failure(seed: int, trace: Trace) -> None:
    """Keep a run, in place of the one before."""
    _failures[:] = [FailedRun(seed, trace)]


def forget_last_failure() -> None:
    """Keep none."""
    _failures.clear()


def last_failure() -> FailedRun | None:
    """Return the run of this process that failed last, or None.

    With the plugin for pytest, the last of the running test.
    """
    return _failures[0] if _failures else None
