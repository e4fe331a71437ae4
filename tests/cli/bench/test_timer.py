from __future__ import annotations

import os
import sys

import pytest
import trio
import trio.testing

from trio_tcp.cli._bench._timer import open_timer


async def test_it_never_wakes_too_early() -> None:
    """Whatever it was set to before: one sleep that was cut short, and some others."""
    with open_timer() as sleep_until:
        with trio.move_on_after(0.001):
            await sleep_until(trio.current_time() + 60)
        for seconds in (0.002, 0.0001, 1e-9, 0.001):
            deadline = trio.current_time() + seconds
            await sleep_until(deadline)
            assert trio.current_time() >= deadline


async def test_a_moment_that_has_passed_is_a_checkpoint() -> None:
    with open_timer() as sleep_until:
        with trio.testing.assert_checkpoints():
            await sleep_until(trio.current_time() - 1)


async def test_it_can_be_cancelled() -> None:
    with open_timer() as sleep_until:
        with trio.move_on_after(0) as scope:
            await sleep_until(trio.current_time() + 60)
    assert scope.cancelled_caught


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such timer")
async def test_it_gives_its_descriptor_back() -> None:
    before = set(os.listdir("/dev/fd"))
    with open_timer() as sleep_until:
        await sleep_until(trio.current_time() + 0.0001)
        assert set(os.listdir("/dev/fd")) > before
    assert set(os.listdir("/dev/fd")) == before
