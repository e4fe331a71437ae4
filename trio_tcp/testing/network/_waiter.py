"""One task that waits for one thing, as a descriptor has one that waits to read."""

from __future__ import annotations

from typing import ClassVar, final

import trio

__all__ = ["Waiter"]


@final
class Waiter:
    """Where at most one task waits until it is woken.

    Attributes:
        wakes: How many tasks were woken in this process, at any place. To whoever
            drives the network, a change means that a task can run.
    """

    wakes: ClassVar[int] = 0

    __slots__ = ("_doing", "_task")

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._task: trio.lowlevel.Task | None = None

    def __bool__(self) -> bool:
        """Say whether a task waits."""
        return self._task is not None

    async def wait(self) -> None:
        """Wait until `wake`.

        Raises:
            trio.BusyResourceError: another task waits here, as on a real socket.

        Cancellation:
            It waits no more; nothing else has happened.
        """
        if self._task is not None:
            raise trio.BusyResourceError(f"another task is already {self._doing}")
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        """Let the task that waits, if one does, look again."""
        task = self._task
        if task is not None:
            self._task = None
            Waiter.wakes += 1
            trio.lowlevel.reschedule(task)
