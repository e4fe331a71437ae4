"""A worker as the supervisor sees it, when there is no process."""

from __future__ import annotations

import errno
import os
import warnings

import pytest
import trio
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


async def test_one_that_no_descriptor_is_left_for_could_not_be_started() -> None:
    """As one without a program: there is a next time for either."""
    resource = pytest.importorskip("resource")
    one = worker()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        await one.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert one.failure is not None
    assert one.failure.errno == errno.EMFILE
    assert one.ended.is_set()


async def test_one_that_is_cancelled_while_it_starts_leaves_no_socket_open() -> None:
    """Neither its own end of the channel nor ours."""
    opened = len(os.listdir("/dev/fd"))
    one = worker()
    with warnings.catch_warnings(record=True) as warned, trio.CancelScope() as scope:
        warnings.simplefilter("always")
        scope.cancel()
        await one.run()
    assert one.ended.is_set()
    assert len(os.listdir("/dev/fd")) == opened
    assert [str(warning.message) for warning in warned] == []


async def test_one_that_is_told_to_end_before_it_starts_never_does() -> None:
    """There is no process, and no failure."""
    one = worker()
    one.tell_to_end()
    await one.run()
    assert one.ended.is_set()
    assert one.returncode is None
    assert one.failure is None
