"""What every task waits for, as text."""

from __future__ import annotations

import linecache
import os
from types import FrameType
from typing import Final

import trio

__all__ = ["task_tree"]

_FRAMES: Final = 3
_MACHINERY: Final = ("trio", "outcome", "contextlib")
_OURS: Final = ("trio_tcp.testing.network", "trio_tcp.testing.simulation")


def task_tree(root: trio.lowlevel.Task) -> str:
    """Tell of a task, and of each below it, its name and the lines at which it waits.

    The innermost lines come last; those of Trio and of the virtual network are left
    out.
    """
    return "\n".join(_describe(root, 1) + _branch(root, 1))


def _branch(task: trio.lowlevel.Task, depth: int) -> list[str]:
    # A nursery keeps its tasks in a set. Sorted by their text, not by memory.
    branches = sorted(
        _describe(child, depth + 1) + _branch(child, depth + 1)
        for nursery in task.child_nurseries
        for child in nursery.child_tasks
    )
    return [line for branch in branches for line in branch]


def _describe(task: trio.lowlevel.Task, depth: int) -> list[str]:
    indent = "  " * depth
    lines = [
        _line(frame, number)
        for frame, number in task.iter_await_frames()
        if not _is_machinery(frame)
    ]
    return [
        f"{indent}{task.name}",
        *(f"{indent}    {line}" for line in lines[-_FRAMES:]),
    ]


def _line(frame: FrameType, number: int) -> str:
    path = frame.f_code.co_filename
    source = linecache.getline(path, number).strip()
    shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
    return f"{shown}:{number} in {frame.f_code.co_name}: {source}"


def _is_machinery(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    package = module.split(".", maxsplit=1)[0]
    return package in _MACHINERY or module.startswith(_OURS)
