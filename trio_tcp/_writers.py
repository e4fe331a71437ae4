"""Tasks that write what connections have accepted.

A committed message must go out whole even when the task that sent it is cancelled, so
some other task has to write it. One such task per connection would cost each idle
connection a task; one spawned per message would cost each message a spawn. So a nursery
has a pool: a job takes a parked task where there is one, the one parked last first
(its memory is warm), and starts one where there is none. The same tasks do what else
is to be done in no task of a user: watch deadlines, discard what is not wanted, close
streams.

The tasks are shielded: a handler that is cancelled may still say goodbye in a shielded
scope of its own. They end all the same, because whoever holds the pool lets go of it in
a ``finally``, having stopped its own jobs; and the last one ends the parked tasks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, final

import trio

__all__ = ["Job", "Writer", "Writers"]

Job: TypeAlias = Callable[[], Awaitable[None]]
"""Work for one task. It must not raise, but for `trio.Cancelled`."""


@final
class Writer:
    """One task of a pool: whoever started its job may cancel that job."""

    __slots__ = ("_scope", "job", "task")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self.task: trio.lowlevel.Task | None = None
        self._scope = trio.CancelScope(shield=True)

    def cancel(self) -> None:
        """Cancel the job, and the task with it. Not allowed once the job is done."""
        self._scope.cancel()

    async def run(self, parked: list[Writer], is_wanted: Callable[[], bool]) -> None:
        """Do one job after the other, parked in between, as long as it is wanted."""
        self.task = trio.lowlevel.current_task()
        with self._scope:
            while self.job is not None:
                await self.job()
                # One that was cancelled too late must not take another's job with it.
                if self._scope.cancel_called or not is_wanted():
                    return
                self.job = None
                parked.append(self)
                await trio.lowlevel.wait_task_rescheduled(_only_resumed)


def _only_resumed(_: object) -> trio.lowlevel.Abort:
    """Parked tasks are ended by `Writers.release`, never by being cancelled."""
    return trio.lowlevel.Abort.FAILED


@final
class Writers:
    """A pool of tasks in a nursery, for as long as somebody holds it."""

    __slots__ = ("_calls", "_holders", "_nursery", "_parked")

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._parked: list[Writer] = []
        self._calls: list[Callable[[], None]] = []
        self._holders = 0

    def hold(self) -> None:
        """Keep the tasks until the matching `release`."""
        self._holders += 1

    def release(self) -> None:
        """Let go. No more tasks stay parked than there are holders."""
        self._holders -= 1
        while len(self._parked) > self._holders:
            self._resume(None)

    def start(self, job: Job) -> Writer:
        """Have a task run ``job`` from the next pass of the scheduler on."""
        if self._parked:
            return self._resume(job)
        writer = Writer(job)
        self._nursery.start_soon(
            writer.run, self._parked, self._has_place, name="trio_tcp writer"
        )
        return writer

    def call_soon(self, call: Callable[[], None]) -> None:
        """Have ``call`` called in the next pass of the scheduler, with all others."""
        if not self._calls:
            self.start(self._make_calls)
        self._calls.append(call)

    async def _make_calls(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def _resume(self, job: Job | None) -> Writer:
        writer = self._parked.pop()
        writer.job = job
        assert writer.task is not None
        trio.lowlevel.reschedule(writer.task)
        return writer

    def _has_place(self) -> bool:
        return len(self._parked) < self._holders
