"""The end of tasks that are shielded from cancellation, and wait for ever."""

from __future__ import annotations

from collections.abc import Iterator

import outcome  # what trio.lowlevel.reschedule takes; Trio itself needs it
import trio

__all__ = ["wake_with_error"]


def wake_with_error(root: trio.lowlevel.Task, error: BaseException) -> None:
    """Have an error raised in the innermost tasks below a task, where they wait.

    Only when none of them can run. What they wait for is not told: the run must not go
    on for longer than it takes them to end.
    """
    for task in list(_innermost(root)):
        trio.lowlevel.reschedule(task, outcome.Error(error))


def _innermost(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    children = [
        child for nursery in task.child_nurseries for child in nursery.child_tasks
    ]
    if not children:
        yield task
    for child in children:
        yield from _innermost(child)
