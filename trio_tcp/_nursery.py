"""A nursery for tasks of ours beside a block of the user's; and groups taken apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import trio

__all__ = [
    "forgetful_scope",
    "is_cancellation",
    "leaves",
    "open_quiet_nursery",
    "ungrouped",
]


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
        # Trio may have made copies of groups, but not of what is in them.
        known = {id(leaf) for leaf in leaves(failure)}
        left = {id(leaf) for leaf in leaves(group)}
        if failure is None or left != known:
            raise
    else:
        return  # also where the block was cancelled, and nothing is left to raise
    raise failure


@contextmanager
def forgetful_scope() -> Generator[trio.CancelScope, None, None]:
    """Open a cancel scope that forgets where what it took has come from.

    For blocks of the user's in a context manager that is a generator. From Python 3.12
    on, the exception that ends such a block is held by a frame of contextlib's to which
    its own traceback leads: a cycle, with all that the block had in hand.
    """
    taken: BaseException | None = None
    try:
        with trio.CancelScope() as scope:
            try:
                yield scope
            except BaseException as error:
                taken = error
                raise
        if taken is not None:
            taken.__traceback__ = None
    finally:
        taken = None


@contextmanager
def ungrouped() -> Generator[None, None, None]:
    """Let an exception out of a group if it is the only one there.

    For nurseries that are nobody's business outside: their groups would hide what has
    happened from an ``except`` clause. Cancellation is left as Trio has it.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        first, *others = leaves(group)
        if others or isinstance(first, trio.Cancelled):
            raise
        raise first from first.__cause__


def leaves(error: BaseException | None) -> Iterator[BaseException]:
    """Iterate over the exceptions in a group and its groups; one alone is itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from leaves(inner)
    elif error is not None:
        yield error


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception is `trio.Cancelled`, alone or in company of its kind."""
    return all(isinstance(leaf, trio.Cancelled) for leaf in leaves(error))
