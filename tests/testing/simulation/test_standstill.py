"""A program that will never end is ended, and its tasks say where they are."""

from __future__ import annotations

import math
import pickle

import pytest
import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import (
    SimulationDeadlock,
    SimulationLivelock,
    SimulationTimeout,
    run_simulation,
)


async def wait_for_what_never_comes() -> None:
    await trio.Event().wait()  # this line is in the report


async def stand_still(net: VirtualNetwork) -> None:
    net.host("a").start(wait_for_what_never_comes)
    async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - a task with a name
        nursery.start_soon(wait_for_what_never_comes, name="the waiter")


def test_a_deadlock_tells_what_each_task_waits_for() -> None:
    with pytest.raises(SimulationDeadlock) as caught:
        run_simulation(stand_still)
    report = caught.value.report
    assert "the waiter" in report
    assert "wait_for_what_never_comes on a" in report
    assert "stand_still on test" in report
    assert report.count("# this line is in the report") == 2
    assert "_sync.py" not in report  # Trio's own lines say nothing


def test_a_deadlock_shows_what_was_sent_last() -> None:
    async def program(net: VirtualNetwork) -> None:
        async def say_nothing(stream: trio.SocketStream) -> None:
            await trio.sleep_forever()

        net.host("server").start(trio.serve_tcp, say_nothing, 80)
        await net.settle()
        stream = await trio.open_tcp_stream("server", 80)
        await stream.receive_some()

    with pytest.raises(SimulationDeadlock) as caught:
        run_simulation(program)
    assert "SYN" in caught.value.report
    assert "receive_some" in caught.value.report


def test_a_deadlock_behind_a_shield_ends_too() -> None:
    async def program(net: VirtualNetwork) -> None:
        with trio.CancelScope(shield=True):
            await stand_still(net)

    with pytest.raises(SimulationDeadlock):
        run_simulation(program)


def test_a_deadlock_is_told_also_when_the_program_hides_it() -> None:
    async def program(net: VirtualNetwork) -> str:
        with trio.CancelScope(shield=True):
            try:
                await trio.sleep_forever()
            except SimulationDeadlock:
                return "nothing happened"
        return "not reached"

    async def impatient(net: VirtualNetwork) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("on the way out")

    with pytest.raises(SimulationDeadlock):
        run_simulation(program)
    with pytest.raises(SimulationDeadlock) as caught:
        run_simulation(impatient)
    assert isinstance(caught.value.__cause__, KeyError)


def test_who_waits_with_a_deadline_is_no_deadlock() -> None:
    async def program(net: VirtualNetwork) -> bool:
        with trio.move_on_after(1000) as scope:
            await stand_still(net)
        return scope.cancelled_caught

    assert run_simulation(program).value is True


def test_a_livelock_names_the_tasks_that_run() -> None:
    async def run_in_circles() -> None:
        while True:  # noqa: ASYNC110 - nothing comes that could be waited for
            await trio.lowlevel.checkpoint()

    async def program(net: VirtualNetwork) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_in_circles, name="the runner")
            nursery.start_soon(wait_for_what_never_comes)

    with pytest.raises(SimulationLivelock, match="the runner"):
        run_simulation(program)


def test_events_without_end_in_one_moment_are_a_livelock() -> None:
    async def program(net: VirtualNetwork) -> None:
        task = trio.lowlevel.current_task()
        while True:
            net.timeline.at(0, lambda: trio.lowlevel.reschedule(task))
            await trio.lowlevel.wait_task_rescheduled(
                lambda _: trio.lowlevel.Abort.SUCCEEDED
            )

    with pytest.raises(SimulationLivelock):
        run_simulation(program)


def test_a_long_life_with_time_passing_is_no_livelock() -> None:
    async def program(net: VirtualNetwork) -> None:
        for _ in range(6):
            await trio.sleep(1)
            for _ in range(20_000):
                await trio.lowlevel.cancel_shielded_checkpoint()

    assert run_simulation(program).seconds == 6


def test_a_program_that_takes_too_long_is_ended_at_the_limit() -> None:
    async def program(net: VirtualNetwork) -> None:
        try:
            while True:  # noqa: ASYNC110 - it waits for nothing
                await trio.sleep(7)
        finally:
            ended.append(trio.current_time())

    ended: list[float] = []
    with pytest.raises(SimulationTimeout, match="100 virtual seconds"):
        run_simulation(program, time_limit=100)
    assert ended == [98]


def test_without_a_time_limit_a_deadlock_is_found_all_the_same() -> None:
    with pytest.raises(SimulationDeadlock):
        run_simulation(stand_still, time_limit=math.inf)


def test_time_left_behind_a_shield_ends_too() -> None:
    async def program(net: VirtualNetwork) -> None:
        with trio.CancelScope(shield=True):
            while True:  # noqa: ASYNC110 - it waits for nothing
                await trio.sleep(1)

    with pytest.raises(SimulationTimeout):
        run_simulation(program, time_limit=100)


def test_these_errors_survive_pickling() -> None:
    with pytest.raises(SimulationDeadlock) as caught:
        run_simulation(stand_still)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is SimulationDeadlock
    assert str(copy) == str(caught.value)
