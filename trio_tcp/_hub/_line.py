"""Publishers who wait, in the order in which they came, for one subscriber."""

from __future__ import annotations

from collections import deque
from typing import Any, final

import trio

from trio_tcp._hub._publication import Publication

__all__ = ["Line"]


@final
class Line:
    """Tasks with a publication each."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[trio.lowlevel.Task, Publication[Any]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Publication[Any]:
        """What the first one waits with."""
        return self._waiting[0][1]

    def let_in(self) -> None:
        """Tell the first one that its publication is taken, or not wanted any more."""
        task, _ = self._waiting.popleft()
        trio.lowlevel.reschedule(task)

    async def wait(self, publication: Publication[Any]) -> None:
        """Wait until let in.

        Cancellation:
            The publication is not taken.
        """
        entry = (trio.lowlevel.current_task(), publication)
        self._waiting.append(entry)

        def leave(_: object) -> trio.lowlevel.Abort:
            self._waiting.remove(entry)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
