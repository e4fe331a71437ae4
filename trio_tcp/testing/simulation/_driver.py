"""Virtual time: who moves the clock, and who notices that it will never move again.

Trio tells an instrument before each pass how long it will wait. With a `MockClock`
whose threshold is -0.0, it says exactly -0.0 when no task can run and it would move the
clock to its next deadline: the one moment at which the network may act. No task takes
part, so that an event on the network costs a call and not a switch of tasks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, final

import trio
from trio.testing import MockClock

from trio_tcp.testing.network._timeline import Timeline
from trio_tcp.testing.network._waiter import Waiter
from trio_tcp.testing.simulation import _garbage
from trio_tcp.testing.simulation._errors import (
    SimulationDeadlock,
    SimulationLivelock,
    SimulationTimeout,
)
from trio_tcp.testing.simulation._force import wake_with_error

__all__ = ["IDLE_THRESHOLD", "Driver"]

IDLE_THRESHOLD: Final = -0.0
"""For the clock: tells an idle pass from one that waits for nothing, both 0 seconds."""

_PASSES_WITHOUT_TIME: Final = 100_000
"""Of Trio's scheduler, until the program is said to run in circles."""
_PASSES_WATCHED: Final = 1_000
"""More of them, to see which tasks it is that run."""
_IDLE_PASSES_PER_COLLECTION: Final = 4_096
_REAL_POLL_SECONDS: Final = 0.001


@final
class Driver(trio.abc.Instrument):
    """Moves the clock to the next event of the network whenever no task can run.

    Attributes:
        error: Why the simulation was stopped; None while it is not.
    """

    def __init__(  # noqa: PLR0917 - its one caller has them all
        self,
        timeline: Timeline,
        clock: MockClock,
        scope: trio.CancelScope,
        report: Callable[[], str],
        time_limit: float,
        allows_real_io: bool,
    ) -> None:
        self.error: BaseException | None = None
        self._timeline = timeline
        self._clock = clock
        self._scope = scope
        self._report = report
        self._time_limit = time_limit
        self._allows_real_io = allows_real_io
        self._now = clock.current_time()
        self._main = trio.lowlevel.current_task()
        self._passes = 0
        self._passes_allowed = _PASSES_WITHOUT_TIME
        self._idle_passes = 0
        self._counter: _StepCounter | None = None

    def now(self) -> float:
        """Say what time it is, without asking Trio, whose clock only this moves."""
        return self._now

    def before_io_wait(self, timeout: float) -> None:
        """Act on the network, if Trio has nothing to do."""
        self._passes += 1
        is_idle = not timeout and math.copysign(1.0, timeout) < 0
        if not is_idle and self._passes <= self._passes_allowed:
            return
        try:
            if is_idle:
                self._advance()
            else:
                self._suspect_livelock()
        except BaseException as error:  # noqa: ASYNC103, BLE001 - in no task, and Trio drops who raises
            if self.error is None:
                self.fail(error)
            elif not trio.lowlevel.current_statistics().tasks_runnable:
                # They refuse to be cancelled, and wait for ever.
                wake_with_error(self._main, self.error)

    def fail(self, error: BaseException) -> None:
        """Stop the simulation. `error` has why; of several, the first."""
        if self.error is None:
            self.error = error
            self._time_limit += self._clock.current_time()
            self._scope.cancel()

    def _advance(self) -> None:
        """Do what is due now or next: on the network, or for Trio."""
        self._idle_passes += 1
        if not self._idle_passes % _IDLE_PASSES_PER_COLLECTION:
            _garbage.collect()
        statistics = trio.lowlevel.current_statistics()
        if self._allows_real_io and _waits_for_real_io(statistics):
            self._let_real_time_pass()
            return
        self._go_on(statistics)
        if self._passes > self._passes_allowed:
            self._suspect_livelock()

    def _go_on(self, statistics: trio.lowlevel.RunStatistics) -> None:
        """Go from event to event until a task can run, or a deadline comes first."""
        timeline, clock = self._timeline, self._clock
        while not (statistics.tasks_runnable or statistics.run_sync_soon_queue_size):
            now = self._now = clock.current_time()
            due = timeline.next_time
            deadline = now + statistics.seconds_to_next_deadline
            self._check_time(min(due, deadline))
            if due > deadline:
                if now < deadline:  # Trio would do so itself, but at the pass's end
                    clock.jump(statistics.seconds_to_next_deadline)
                    self._now = clock.current_time()
                    self._passes = 0
                return
            while now < due:  # a sum of floats may fall short of it
                clock.jump(due - now)
                now = self._now = clock.current_time()
                self._passes = 0
            wakes = Waiter.wakes
            timeline.run_due(now)
            if Waiter.wakes != wakes:
                return  # what Trio would say too, after a longer thought
            statistics = trio.lowlevel.current_statistics()

    def _check_time(self, then: float) -> None:
        if then == math.inf:
            raise SimulationDeadlock(
                "every task waits, no deadline is set, and the network is quiet",
                self._report(),
            )
        if then > self._time_limit:
            raise SimulationTimeout(
                f"the simulation is not over after {self._time_limit:g} virtual "
                "seconds (time_limit)",
                self._report(),
            )

    def _suspect_livelock(self) -> None:
        if self._counter is None:
            self._passes_allowed += _PASSES_WATCHED
            self._counter = _StepCounter()
            trio.lowlevel.add_instrument(self._counter)
            return
        busiest = self._counter.busiest()
        trio.lowlevel.remove_instrument(self._counter)
        self._counter, self._passes = None, 0
        self._passes_allowed = _PASSES_WITHOUT_TIME
        self.fail(
            SimulationLivelock(
                f"the tasks ran {_PASSES_WITHOUT_TIME} times while the clock stood "
                f"still at {self._clock.current_time():g} s; those that run most: "
                f"{busiest}",
                self._report(),
            )
        )

    def _let_real_time_pass(self) -> None:
        """Hold the virtual clock while something real is under way."""
        self._passes = 0
        time.sleep(_REAL_POLL_SECONDS)
        # Trio leaves the clock alone in a pass in which something happens.
        trio.lowlevel.current_trio_token().run_sync_soon(_nothing)


@final
class _StepCounter(trio.abc.Instrument):
    """Counts how often each task runs. Costs too much to be always there."""

    def __init__(self) -> None:
        self._steps: dict[trio.lowlevel.Task, int] = {}

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps[task] = self._steps.get(task, 0) + 1

    def busiest(self) -> str:
        order = sorted(self._steps.items(), key=lambda item: (-item[1], item[0].name))
        return ", ".join(
            f"{task.name} ({steps} of {_PASSES_WATCHED} times)"
            for task, steps in order[:5]
        )


def _waits_for_real_io(statistics: trio.lowlevel.RunStatistics) -> bool:
    """Say if a task waits for a descriptor. One always does: Trio's own."""
    io = statistics.io_statistics
    names = ("tasks_waiting_read", "tasks_waiting_write", "tasks_waiting")
    waiting: int = sum(getattr(io, name, 0) for name in names)
    return waiting > 1


def _nothing() -> None:
    pass
