"""A nursery for tasks of ours beside a block of the user's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

__all__ = ["open_quiet_nursery"]


@asynccontextmanager
async def open_quiet_nursery() -> AsyncGenerator[trio.Nursery, None]:
    """Open a nursery out of which the block's exception leaves as itself.

    Trio's wraps what leaves its block into a group, since its tasks may have failed as
    well. Here the tasks are this package's own and do not fail: a group would tell the
    user nothing, and hide the exception from an ``except`` clause. Where a task did
    fail after all, the group is left as it is.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                failure = error
                raise
    except BaseExceptionGroup as group:
        if failure is None or group.exceptions != (failure,):
            raise
    if failure is not None:
        raise failure
