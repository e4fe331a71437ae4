"""The order of Trio's tasks, from a seed. All private names of Trio are in this file.

Trio runs the tasks that are ready in an order of its own, in part by chance and in part
by where they lie in memory. Two of its private names, there for Hypothesis, make that
order repeatable. Whether they still do is tried out once in a process.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Literal, TypeAlias, final, get_args

import trio

from trio_tcp.testing.simulation._errors import (
    ScheduleUnavailableError,
    ScheduleWarning,
)
from trio_tcp.testing.simulation._replaced import replaced

__all__ = [
    "Schedule",
    "check_schedule",
    "require_seeded_schedule",
    "seeded_schedule",
]

Schedule: TypeAlias = Literal["shuffle", "fifo"]

_TASKS = 12
_PROMISE = (
    f"Trio {trio.__version__} does not let the order of its tasks be seeded (the "
    "private names _ALLOW_DETERMINISTIC_SCHEDULING and _r of trio._core._run do not "
    "have the effect that they had in Trio 0.35)"
)


@final
class _Fifo(random.Random):
    """First started, first run, of those who are ready together.

    Trio sorts them by when they were started, and takes them from the end.
    """

    def shuffle(self, x: Any) -> None:  # noqa: ANN401 - the signature is Python's
        x.reverse()


def check_schedule(schedule: object) -> None:
    """Check an argument that must be the name of a schedule.

    Raises:
        ValueError: it is none.
    """
    names = get_args(Schedule)
    if schedule not in names:
        raise ValueError(f"schedule must be one of {names}, not {schedule!r}")


def seeded_schedule(seed: str, schedule: Schedule) -> AbstractContextManager[None]:
    """Let Trio take the order of tasks from a seed, until the end of the block.

    Where this version of Trio cannot, a `ScheduleWarning` says so, once.
    """
    if _is_seedable():
        return _seeded(_Fifo(seed) if schedule == "fifo" else random.Random(seed))
    _warn_once()
    return nullcontext()


def require_seeded_schedule() -> None:
    """Refuse to go on where the order of tasks cannot be seeded.

    Raises:
        ScheduleUnavailableError: It cannot, with this version of Trio.
    """
    if not _is_seedable():
        raise ScheduleUnavailableError(
            f"{_PROMISE}, so that two runs of one seed may differ"
        )


@cache
def _warn_once() -> None:
    warnings.warn(
        f"{_PROMISE}. Simulations run, but a seed does not stand for one order of the "
        "tasks: a failure may not come back with its seed",
        ScheduleWarning,
        stacklevel=5,
    )


@contextmanager
def _seeded(source: random.Random) -> Generator[None, None, None]:
    run = trio._core._run  # noqa: SLF001 - there is no public name
    with replaced(run, _ALLOW_DETERMINISTIC_SCHEDULING=True, _r=source):
        yield


@cache
def _is_seedable() -> bool:
    """Try it out: one seed gives one order, another seed another, and fifo its own."""
    try:
        orders = [
            _order_of_tasks(random.Random(1)),
            _order_of_tasks(random.Random(1)),
            _order_of_tasks(random.Random(2)),
            _order_of_tasks(_Fifo(1)),
        ]
    except AttributeError:
        return False
    first, again, other, fifo = orders
    return first == again != other and fifo == list(range(_TASKS))


def _order_of_tasks(source: random.Random) -> list[int]:
    order: list[int] = []

    async def take_turn(number: int, start: trio.Event) -> None:
        # An event keeps those who wait for it in a set: in the order of memory.
        await start.wait()
        order.append(number)

    async def main() -> None:
        start = trio.Event()
        async with trio.open_nursery() as nursery:
            for number in range(_TASKS):
                nursery.start_soon(take_turn, number, start)
            await trio.testing.wait_all_tasks_blocked()
            start.set()

    with _seeded(source):
        trio.run(main)
    return order
