"""A worker as the supervisor sees it, when there is no process."""

from __future__ import annotations

from trio.testing import assert_checkpoints

import trio_tcp
from trio_tcp._workers._process import Plan, WorkerProcess


def worker() -> WorkerProcess:
    """Make one that was never started."""
    plan = Plan(
        command=["true"],
        listeners=[],
        own_listeners=[],
        grace=1,
        supervision=trio_tcp.Supervision(),
        observer=lambda _event: None,
    )
    return WorkerProcess(plan, slot=0, generation=1)


async def test_one_that_is_not_there_answers_nothing() -> None:
    """It may have died a moment ago: to ask it is no mistake."""
    with assert_checkpoints():
        assert await worker().ask("how are you") is None


async def test_one_that_is_told_to_end_before_it_starts_never_does() -> None:
    """There is no process, and no failure."""
    one = worker()
    one.tell_to_end()
    await one.run()
    assert one.ended.is_set()
    assert one.returncode is None
    assert one.failure is None
