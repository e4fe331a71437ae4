"""Does one seed give one run? Asked of the program, by running it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar, TypeVarTuple

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation._errors import NotDeterministicError
from trio_tcp.testing.simulation._fences import Allowed
from trio_tcp.testing.simulation._run_simulation import (
    SimulationResult,
    run_simulation,
)
from trio_tcp.testing.simulation._schedule import Schedule, require_seeded_schedule

__all__ = ["check_deterministic"]

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")


def check_deterministic(
    fn: Callable[[VirtualNetwork, *_Ts], Awaitable[_T]],
    *args: *_Ts,
    seed: int = 0,
    repeats: int = 2,
    time_limit: float = 3600.0,
    schedule: Schedule = "shuffle",
    allow: Collection[Allowed] = (),
    payload: bool = True,
) -> SimulationResult[_T]:
    """Run a program several times with one seed, and compare what was sent.

    Args:
        fn: As for `run_simulation`, and so are the arguments not named here.
        *args: What it takes after the network.
        seed: Of all the runs.
        repeats: How many runs, at least 2.
        time_limit: For each run, in virtual seconds.
        schedule: As for `run_simulation`.
        allow: As for `run_simulation`.
        payload: False compares only the shape, as `Trace.diff` does: for TLS.

    Returns:
        The result of the first run.

    Raises:
        NotDeterministicError: Two runs went different ways; it shows where they part.
        ScheduleUnavailableError: This version of Trio cannot promise it at all.
        ValueError: There is nothing to compare in fewer than 2 runs.
        BaseException: What `run_simulation` raises.
    """
    if repeats < 2:  # noqa: PLR2004 - one to compare with another
        raise ValueError(f"repeats={repeats}: it takes two runs to compare")
    require_seeded_schedule()

    def run() -> SimulationResult[_T]:
        return run_simulation(
            fn,
            *args,
            seed=seed,
            time_limit=time_limit,
            schedule=schedule,
            allow=allow,
        )

    first = run()
    for _ in range(repeats - 1):
        _compare(first, run(), payload=payload)
    return first


def _compare(
    first: SimulationResult[_T], again: SimulationResult[_T], *, payload: bool
) -> None:
    difference = first.trace.diff(again.trace, payload=payload)
    if difference is not None:
        raise NotDeterministicError(first.seed, str(difference))
    if first.seconds != again.seconds:
        raise NotDeterministicError(
            first.seed,
            "the same was sent, but one run took "
            f"{first.seconds!r} virtual seconds, the other {again.seconds!r}",
        )
