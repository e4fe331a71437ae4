"""A bounded pool of connections, each of which one task has at a time.

Here is what users see: the options, and the block in which a task has a connection.
What the pool does behind it is in ``_stock.py``, and when a connection is fit to be
used by somebody else in ``_pooled.py``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Generic, TypeAlias, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._pool._pooled import DiscardReason, Pooled
from trio_tcp._pool._stock import Bounds, PoolStatistics, Stock
from trio_tcp._reconnecting import (
    DEFAULT_BACKOFF,
    Backoff,
    Connect,
    Prepare,
    SessionState,
    check_connect,
    is_failure,
    never,
    seeded,
)

__all__ = ["Check", "Pool", "open_pool"]

In = TypeVar("In")
Out = TypeVar("Out")

Check: TypeAlias = Callable[[Connection[In, Out]], Awaitable[object]]
"""An async function that raises if a connection is no good, such as a ping."""


@asynccontextmanager
async def open_pool(
    connect: Connect[In, Out],
    *,
    size: int,
    max_idle: float = 60.0,
    max_lifetime: float = 3600.0,
    check: Check[In, Out] | None = None,
    backoff: Backoff = DEFAULT_BACKOFF,
    prepare: Prepare[In, Out] | None = None,
    is_permanent: Callable[[Exception], bool] = never,
    random: Random | None = None,
) -> AsyncGenerator[Pool[In, Out], None]:
    """Keep connections to one server open, and lend each to one task at a time.

    Connections are made when they are needed; opening the pool makes none. While the
    server is down, those who want one wait, and all attempts share one backoff.

    When the block ends, idle connections are closed gracefully. Those in use are closed
    at once, so whoever still uses one, in a task from outside the block, gets
    `ConnectionClosedError`; whoever waits for one, or asks later, `PoolClosedError`. If
    the block raises, all are closed at once.

    Args:
        connect: opens a connection, each time it is called:
            ``functools.partial(connect_tcp, ...)``.
        size: how many connections may be open at once, those included that are being
            made, and those that are not yet closed.
        max_idle: seconds for which nobody needs a connection before it is closed. Keep
            it below the time after which the server closes, or a router forgets.
            `Timeouts.idle` of the connection counts, too.
        max_lifetime: seconds for which a connection may be open, less up to 5%, drawn
            for each. One that is in use is closed when it is given back. A change of
            the server's name, or of who is behind a balancer, is noticed in this time.
        check: is awaited with a connection that was idle, by the task that is to get
            it. If it raises what a connection can fail with (`ConnectionFault`,
            `OSError`, `trio.BrokenResourceError`, `trio.TooSlowError`), or leaves the
            connection unfit, another is tried. Anything else it raises is a mistake in
            it, and leaves as itself. Give it a deadline: ``with trio.fail_after(1):``.
            It is worth its round trip if networks on the way forget connections.
        backoff: how long to wait between attempts.
        prepare: is awaited with each new connection, such as a login. Its failure is
            the attempt's.
        is_permanent: says of what made an attempt fail, or a connection end, whether to
            stop: all who wait, and all who come later and find no idle connection, get
            this error.
        random: for jitter; by default one that the module `random` seeds.

    Raises:
        ValueError: one of the numbers makes no sense.
        TypeError: ``connect`` is a connection, not what opens one; or another argument
            is not of its type.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        Closes all connections at once.

    Example::

        connect = partial(trio_tcp.connect_tcp, "db", 6379, codec=codecs.Lines())
        async with trio_tcp.open_pool(connect, size=10) as pool:
            async with pool.connection() as connection:
                await connection.send("GET answer")
                print(await connection.receive())
    """
    bounds = Bounds(size=size, max_idle=max_idle, max_lifetime=max_lifetime)
    check_connect(connect)
    if check is not None:
        check_function("check", check)
    if random is not None:
        check_kind("random", random, Random)
    async with open_quiet_nursery() as nursery:
        stock = Stock(
            nursery,
            connect,
            bounds,
            backoff=backoff,
            prepare=prepare,
            is_permanent=is_permanent,
            random=random or seeded(),
        )
        try:
            yield Pool(stock, check)
        finally:
            stock.close()


@final
class Pool(Generic[In, Out]):
    """Connections to one server, for many tasks. Made by `open_pool`."""

    def __init__(self, stock: Stock[In, Out], check: Check[In, Out] | None) -> None:
        self._stock = stock
        self._check = check

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection[In, Out], None]:
        """Have a connection for the length of a block, and nobody else has it.

        Waits, first come first served, until one is there: a deadline around it is how
        long the caller is willing to wait.

        It is kept for others only if the block ends without an exception, leaves it
        open in both directions, has received all that has come, and no `receive` in it
        was cancelled, be it by a scope inside the block. Otherwise the state of the
        dialogue is unknown, and the connection is closed, without making anybody wait.
        To have it closed, as after `Connection.switch_codec`, call `Connection.abort`.

        What was sent is not waited for: where no reply says that it has arrived, end
        with `Connection.flush`.

        Raises:
            PoolClosedError: the block of `open_pool` is over.
            Exception: the permanent error that stopped all attempts, or the last one
                before they were given up; what ``connect``, ``prepare`` or ``check``
                raised by mistake. All who wait get the same.
            BaseException: what the block raises.

        Cancellation:
            While it waits: leaves the line. An attempt to connect goes on to its end,
            for whoever comes next. Inside the block: as said.
        """
        pooled = await self._acquire()
        try:
            yield pooled.connection
        except BaseException:
            ended = pooled.has_ended
            reason = DiscardReason.ENDED if ended else DiscardReason.UNFINISHED
            self._stock.discard(pooled, reason)
            raise
        self._stock.give_back(pooled)

    @property
    def state(self) -> SessionState:
        """What is known about the server: `Waiting` says why nobody gets connected."""
        return self._stock.state

    def statistics(self) -> PoolStatistics:
        """Return the counters as they are now."""
        return self._stock.statistics()

    async def _acquire(self) -> Pooled[In, Out]:
        await trio.lowlevel.checkpoint_if_cancelled()
        place = self._stock.take_place()
        while True:
            pooled = await self._stock.wait(place)
            if await self._passes(pooled):
                return pooled
            self._stock.come_back(place)

    async def _passes(self, pooled: Pooled[In, Out]) -> bool:
        """Check a connection that was idle; discard it if that fails."""
        if self._check is None or not pooled.was_idle:
            return True
        try:
            await self._check(pooled.connection)
        except Exception as error:
            self._stock.discard(pooled, DiscardReason.CHECK_FAILED)
            if is_failure(error):
                return False
            raise
        except BaseException:
            self._stock.discard(pooled, DiscardReason.UNFINISHED)
            raise
        if pooled.find_fault() is not None:
            self._stock.discard(pooled, DiscardReason.CHECK_FAILED)
            return False
        return True
