"""Time moves when every task waits, and as far as the next thing that happens."""

from __future__ import annotations

import os
import signal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import run_simulation


def test_events_and_deadlines_happen_in_the_order_of_their_times() -> None:
    async def program(net: VirtualNetwork) -> list[tuple[str, float]]:
        happened: list[tuple[str, float]] = []

        def note(what: str) -> None:
            happened.append((what, trio.current_time()))

        for time in (1.5, 0.5, 2.5):
            net.timeline.at(time, note, "event")
        for _ in range(3):
            await trio.sleep(1)
            note("task")
        return happened

    assert run_simulation(program).value == [
        ("event", 0.5),
        ("task", 1.0),
        ("event", 1.5),
        ("task", 2.0),
        ("event", 2.5),
        ("task", 3.0),
    ]


def test_an_event_comes_before_a_deadline_of_the_same_moment() -> None:
    async def program(net: VirtualNetwork) -> bool:
        task = trio.lowlevel.current_task()
        net.timeline.at(0.3, lambda: trio.lowlevel.reschedule(task))
        with trio.move_on_after(0.3) as scope:
            await trio.lowlevel.wait_task_rescheduled(
                lambda _: trio.lowlevel.Abort.FAILED
            )
        return scope.cancelled_caught

    assert run_simulation(program).value is False


def test_no_time_passes_while_a_task_can_run() -> None:
    async def program(net: VirtualNetwork) -> float:
        net.timeline.at(1, lambda: None)
        for _ in range(1000):
            await trio.lowlevel.checkpoint()
        return trio.current_time()

    assert run_simulation(program).value == 0


def test_an_event_can_cancel_a_scope() -> None:
    async def program(net: VirtualNetwork) -> float:
        with trio.CancelScope() as scope:
            net.timeline.at(7.25, scope.cancel)
            await trio.sleep_forever()
        return trio.current_time()

    assert run_simulation(program).value == 7.25


def test_the_clock_is_exact_at_events_of_any_time() -> None:
    async def program(net: VirtualNetwork) -> list[tuple[float, float]]:
        seen: list[tuple[float, float]] = []
        times = [0.1 * number + 1e-9 * number**3 for number in range(1, 200)]

        def note(due: float) -> None:
            seen.append((due, trio.current_time()))

        for time in times:
            net.timeline.at(time, note, time)
        await trio.sleep(100)
        return seen

    assert all(due == now for due, now in run_simulation(program).value)


def test_waiting_for_all_tasks_to_block_moves_no_time() -> None:
    async def program(net: VirtualNetwork) -> float:
        net.timeline.at(1, lambda: None)
        await wait_all_tasks_blocked()
        return trio.current_time()

    assert run_simulation(program).value == 0


@pytest.mark.parametrize("kind", [KeyError, SystemExit])
def test_an_error_in_an_event_ends_the_simulation_as_itself(
    kind: type[BaseException],
) -> None:
    def fail() -> None:
        raise kind("in an event")

    async def program(net: VirtualNetwork) -> None:
        net.timeline.at(1, fail)
        await trio.sleep(5)

    with pytest.raises(kind, match="in an event"):
        run_simulation(program)


def test_another_task_can_be_called_from_outside_of_trio() -> None:
    """As signals and guests do: it is no deadlock when something waits to be run."""

    async def program(net: VirtualNetwork) -> tuple[float, float]:
        done = trio.Event()
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(done.set)
        await done.wait()
        before, done = trio.current_time(), trio.Event()
        net.timeline.at(5, lambda: token.run_sync_soon(done.set))
        net.timeline.at(6, lambda: None)
        await done.wait()
        return before, trio.current_time()

    assert run_simulation(program).value == (0, 5)


def test_ctrl_c_ends_a_simulation_before_more_time_passes() -> None:
    ended: list[float] = []

    async def program(net: VirtualNetwork) -> None:
        net.timeline.at(5, lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            await trio.sleep(100)
        finally:
            ended.append(trio.current_time())

    with pytest.raises(KeyboardInterrupt):
        run_simulation(program)
    assert ended == [5]
