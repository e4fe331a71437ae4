"""What the tests of a pool share: ways to use it, and what it has thrown away."""

from __future__ import annotations

from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import number_of
from trio_tcp import DiscardReason


async def fill(pool: trio_tcp.Pool[str, str], count: int) -> None:
    """Have so many connections made, and give them back, the first one last."""
    if count:
        async with pool.connection():
            await fill(pool, count - 1)
        await wait_all_tasks_blocked()


async def touch(pool: trio_tcp.Pool[str, str]) -> int:
    """Use a connection for nothing, and say which it was."""
    async with pool.connection() as connection:
        return number_of(connection)


def discarded(pool: trio_tcp.Pool[str, str]) -> dict[DiscardReason, int]:
    """Say how many were thrown away, and why."""
    return dict(pool.statistics().discarded)
