"""A bounded pool of connections that are used by one task at a time.

Each connection is held open by a task of its own, its keeper, in the pool's nursery: a
connection's context manager must be left by the task that has entered it, and those who
use the connection come and go. The keeper also listens while nobody uses it.

Whoever wants a connection takes a place in one line. Connections serve the line, from
its head, as they become free, are woken from idleness, or are made. The pool only sees
to it that enough of them are coming: it wakes the most recently used, or has another
made if there is room. Nobody is promised a certain one, so when one turns out to be no
good, or somebody leaves the line, there is nothing to undo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Final, Generic, TypeAlias, TypeVar, final

import attrs
import trio

from trio_tcp._backoff import Backoff
from trio_tcp._connection import Connection
from trio_tcp._errors import PoolClosedError
from trio_tcp._events import CloseReason
from trio_tcp._nursery import leaves, open_quiet_nursery
from trio_tcp._pooled import DiscardReason, Pooled
from trio_tcp._reconnect import (
    FAILURES,
    Connect,
    Prepare,
    Reconnector,
    check_connect,
    never,
    seeded,
)
from trio_tcp._session_state import SessionState
from trio_tcp._validators import duration, whole
from trio_tcp._waiting_line import WaitingLine

__all__ = ["Check", "Pool", "PoolStatistics", "open_pool"]

In = TypeVar("In")
Out = TypeVar("Out")

Check: TypeAlias = Callable[[Connection[In, Out]], Awaitable[object]]
"""An async function that raises if a connection is no good, such as a ping."""

LIFETIME_SPREAD: Final = 0.05
"""The share by which a connection's life may be shorter, drawn for each: those that
were made together must not end together. psycopg_pool takes as much."""

GENTLE: Final = (DiscardReason.IDLE, DiscardReason.OLD)
"""Why connections are closed with which nothing is wrong."""

DEFAULT_BACKOFF = Backoff()


@attrs.frozen(kw_only=True)
class PoolStatistics:
    """What a pool has and does, at one moment.

    Attributes:
        open: connections that are made and not yet closed: idle, in use, or about to
            change from one to the other or to be closed.
        idle: those of them that wait to be used.
        in_use: those that were handed out.
        connecting: being made, or waiting for the time of the next attempt.
        waiting: tasks that wait for a connection.
        longest_wait: for how many seconds the first of these has waited.
        made: connections made so far.
        discarded: how many of them were closed for each reason.
    """

    open: int
    idle: int
    in_use: int
    connecting: int
    waiting: int
    longest_wait: float
    made: int
    discarded: Mapping[DiscardReason, int]


@attrs.frozen(kw_only=True)
class _Bounds:
    """The numbers given to `open_pool`."""

    size: int = attrs.field(validator=whole)
    max_idle: float = attrs.field(validator=duration)
    max_lifetime: float = attrs.field(validator=duration)


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
    the block raises or is cancelled, all are closed at once.

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
        is_permanent: says of what made an attempt fail whether to stop with this error.
        random: for jitter; by default one that the module `random` seeds.

    Raises:
        ValueError: one of the numbers makes no sense.
        TypeError: ``connect`` is a connection, not what opens one.
        BaseException: what the block raises, as itself and never in a group.

    Example::

        connect = partial(trio_tcp.connect_tcp, "db", 6379, codec=codecs.Lines())
        async with trio_tcp.open_pool(connect, size=10) as pool:
            async with pool.connection() as connection:
                await connection.send("GET answer")
                print(await connection.receive())
    """
    bounds = _Bounds(size=size, max_idle=max_idle, max_lifetime=max_lifetime)
    check_connect(connect)
    async with open_quiet_nursery() as nursery:
        pool = Pool(
            nursery,
            connect,
            bounds,
            check=check,
            backoff=backoff,
            prepare=prepare,
            is_permanent=is_permanent,
            random=random or seeded(),
        )
        try:
            yield pool
        finally:
            pool._close()  # noqa: SLF001 - this is its owner


@final
class Pool(Generic[In, Out]):
    """Connections to one server, for many tasks. Made by `open_pool`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        connect: Connect[In, Out],
        bounds: _Bounds,
        *,
        check: Check[In, Out] | None,
        backoff: Backoff,
        prepare: Prepare[In, Out] | None,
        is_permanent: Callable[[Exception], bool],
        random: Random,
    ) -> None:
        self._nursery = nursery
        self._connect = connect
        self._bounds = bounds
        self._check = check
        self._random = random
        self._engine = Reconnector(
            self._connect_if_wanted,
            backoff=backoff,
            prepare=prepare,
            is_permanent=is_permanent,
            random=random,
        )
        self._line = WaitingLine[Pooled[In, Out]]()
        self._connecting = 0  # keepers that have no connection yet
        self._attempts: dict[trio.lowlevel.Task, trio.CancelScope] = {}  # of those
        self._open: set[Pooled[In, Out]] = set()
        self._idle: list[Pooled[In, Out]] = []  # the most recently used last
        self._woken = 0  # that were idle, and have not served anybody yet
        self._in_use: set[Pooled[In, Out]] = set()
        self._made = 0
        self._discarded = Counter[DiscardReason]()
        self._is_closed = False

    # What users call

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
            self._discard(
                pooled, DiscardReason.ENDED if ended else DiscardReason.UNFINISHED
            )
            raise
        self._give_back(pooled)

    @property
    def state(self) -> SessionState:
        """What is known about the server: `Waiting` says why nobody gets connected."""
        return self._engine.state

    def statistics(self) -> PoolStatistics:
        """Return the counters as they are now."""
        return PoolStatistics(
            open=len(self._open),
            idle=len(self._idle),
            in_use=len(self._in_use),
            connecting=self._connecting,
            waiting=len(self._line),
            longest_wait=self._line.longest_wait,
            made=self._made,
            discarded=dict(self._discarded),
        )

    # Taking one

    async def _acquire(self) -> Pooled[In, Out]:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        place = self._line.take_place()
        while True:
            self._see_to_the_line()
            pooled = await self._line.wait(place)
            if await self._passes(pooled):
                return pooled
            self._check_open()
            self._line.come_back(place)

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed()

    async def _passes(self, pooled: Pooled[In, Out]) -> bool:
        """Check a connection that was idle; discard it if that fails."""
        if self._check is None or not pooled.was_idle:
            return True
        try:
            await self._check(pooled.connection)
        except Exception as error:
            self._discard(pooled, DiscardReason.CHECK_FAILED)
            if all(isinstance(leaf, FAILURES) for leaf in leaves(error)):
                return False
            raise
        except BaseException:
            self._discard(pooled, DiscardReason.UNFINISHED)
            raise
        if pooled.find_fault() is not None:
            self._discard(pooled, DiscardReason.CHECK_FAILED)
            return False
        return True

    def _see_to_the_line(self) -> None:
        """See to it that for each who waits a connection is coming, if there is room.

        Attempts to connect are no reason to leave an idle one alone: it is quicker.
        """
        if self._is_closed:
            return
        waiting = len(self._line)
        while self._idle and self._woken < waiting:
            self._wake(self._idle[-1])
        while (
            self._woken + self._connecting < waiting
            and len(self._open) + self._connecting < self._bounds.size
        ):
            self._connecting += 1
            self._nursery.start_soon(self._keep)

    def _wake(self, pooled: Pooled[In, Out]) -> None:
        self._idle.remove(pooled)
        self._woken += 1
        pooled.wake()

    # Giving it back

    def _give_back(self, pooled: Pooled[In, Out]) -> None:
        reason = pooled.find_fault()
        if reason is not None:
            self._discard(pooled, reason)
            return
        if not pooled.has_served:
            pooled.has_served = True
            self._engine.vouch_for(pooled.connection.id)
        self._in_use.discard(pooled)
        pooled.was_idle = False
        # The keeper needs not know, if there is nothing to find out.
        if self._is_closed or not (pooled.is_quiet() and self._serve(pooled)):
            pooled.give_back(None)

    def _discard(self, pooled: Pooled[In, Out], reason: DiscardReason) -> None:
        """Let the keeper close it."""
        self._in_use.discard(pooled)
        pooled.give_back(reason)

    def _serve(self, pooled: Pooled[In, Out]) -> bool:
        """Hand a connection to the first in line; False if nobody waits."""
        if not self._line.serve(pooled):
            return False
        pooled.begin_use()
        self._in_use.add(pooled)
        return True

    # Keeping it

    async def _keep(self) -> None:
        """Make a connection, hold it open, and close it when it is no good any more."""
        task = trio.lowlevel.current_task()
        pooled: Pooled[In, Out] | None = None
        try:
            with trio.CancelScope() as scope:
                self._attempts[task] = scope
                async with self._engine.next() as connection:
                    self._stop_connecting()
                    pooled = Pooled(
                        connection, keeper=scope, expires_at=self._draw_end_of_life()
                    )
                    self._open.add(pooled)
                    self._made += 1
                    await self._lend(pooled)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._line.fail(error)
        finally:
            self._stop_connecting()
            if pooled is not None:
                self._open.discard(pooled)
            self._see_to_the_line()

    @asynccontextmanager
    async def _connect_if_wanted(self) -> AsyncGenerator[Connection[In, Out], None]:
        """Connect, unless those who waited for it have left or got another."""
        if self._connecting > len(self._line):
            scope = self._stop_connecting()
            if scope is not None:
                scope.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()
        async with self._connect() as connection:
            yield connection

    def _stop_connecting(self) -> trio.CancelScope | None:
        """Count this task no more among those that connect, if it is one."""
        scope = self._attempts.pop(trio.lowlevel.current_task(), None)
        if scope is not None:
            self._connecting -= 1
        return scope

    def _draw_end_of_life(self) -> float:
        share = 1 - LIFETIME_SPREAD * self._random.random()
        return trio.current_time() + share * self._bounds.max_lifetime

    async def _lend(self, pooled: Pooled[In, Out]) -> None:
        """Lend a connection again and again; close it roughly unless all is well."""
        reason: DiscardReason | None = None
        while reason is None and not self._is_closed:
            reason = await pooled.settle()
            if reason is None:
                if self._serve(pooled):
                    reason = await pooled.wait_given_back()
                else:
                    reason = await self._idle_away(pooled)
        if reason is None:
            return
        self._discarded[reason] += 1
        self._see_to_the_line()  # it may have been on its way to somebody
        connection = pooled.connection
        if reason not in GENTLE and connection.close_reason != CloseReason.PEER_CLOSED:
            connection.abort()

    async def _idle_away(self, pooled: Pooled[In, Out]) -> DiscardReason | None:
        self._idle.append(pooled)
        until = trio.current_time() + self._bounds.max_idle
        try:
            reason = await pooled.wait_until_needed(until)
        finally:
            if pooled.is_woken:
                self._woken -= 1
            else:
                self._idle.remove(pooled)
        if reason is not None:
            # Servers close what is idle; only its next answer tells how it is.
            self._engine.vouch_for(pooled.connection.id)
        return reason

    # Closing

    def _close(self) -> None:
        self._is_closed = True
        self._line.fail(_closed())
        self._engine.stop()
        while self._idle:
            self._wake(self._idle[-1])
        for pooled in self._in_use:
            pooled.close_now()


def _closed() -> PoolClosedError:
    return PoolClosedError("this pool is closed: the block of open_pool is over")
