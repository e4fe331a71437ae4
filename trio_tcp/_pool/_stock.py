"""The connections of a pool, and how they come to those who want one.

Each is held open by a task of its own, its keeper, in the pool's nursery: a
connection's context manager must be left by the task that has entered it, and those who
use the connection come and go. The keeper also listens while nobody uses it.

Whoever wants a connection takes a place in one line. Connections serve the line, from
its head, as they become free, are woken from idleness, or are made. The stock only sees
to it that enough of them are coming: it wakes the most recently used, or has another
made if there is room. Nobody is promised a certain one, so when one turns out to be no
good, or somebody leaves the line, there is nothing to undo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Final, Generic, TypeVar, final

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import PoolClosedError
from trio_tcp._events import CloseReason
from trio_tcp._pool._pooled import DiscardReason, Pooled
from trio_tcp._pool._waiting_line import Place, WaitingLine
from trio_tcp._reconnecting import (
    Backoff,
    Connect,
    Prepare,
    Reconnector,
    SessionState,
    is_failure,
)
from trio_tcp._validators import duration, whole

__all__ = ["Bounds", "PoolStatistics", "Stock"]

In = TypeVar("In")
Out = TypeVar("Out")

LIFETIME_SPREAD: Final = 0.05
"""The share by which a connection's life may be shorter, drawn for each: those that
were made together must not end together. psycopg_pool takes as much."""

GENTLE: Final = (DiscardReason.IDLE, DiscardReason.OLD)
"""Why connections are closed with which nothing is wrong."""


@attrs.frozen(kw_only=True)
class Bounds:
    """How many, and for how many seconds: as `open_pool` explains."""

    size: int = attrs.field(validator=whole(1))
    max_idle: float = attrs.field(validator=duration)
    max_lifetime: float = attrs.field(validator=duration)


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


@final
class Stock(Generic[In, Out]):
    """All connections of one pool, each with its keeper."""

    def __init__(
        self,
        nursery: trio.Nursery,
        connect: Connect[In, Out],
        bounds: Bounds,
        *,
        backoff: Backoff,
        prepare: Prepare[In, Out] | None,
        is_permanent: Callable[[Exception], bool],
        random: Random,
    ) -> None:
        self._is_closed = False
        self._nursery = nursery
        self._connect = connect
        self._bounds = bounds
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
        # Those that are made: all, and what they are at.
        self._open: set[Pooled[In, Out]] = set()
        self._idle: list[Pooled[In, Out]] = []  # the most recently used last
        self._coming: set[Pooled[In, Out]] = set()  # about to look at the line
        self._in_use: set[Pooled[In, Out]] = set()
        self._made = 0
        self._discarded = Counter[DiscardReason]()

    @property
    def state(self) -> SessionState:
        """What is known about the server."""
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

    def close(self) -> None:
        """Send away whoever waits, and have every connection closed.

        Idle ones are closed gracefully, those in use at once.
        """
        self._is_closed = True
        self._line.fail(_closed_error())
        self._engine.stop()
        while self._idle:
            self._wake_one()
        for pooled in self._in_use:
            pooled.close_now()

    # For those who want one

    def take_place(self) -> Place[Pooled[In, Out]]:
        """Take the last place in the line, to `wait` there at once.

        Raises:
            PoolClosedError: nobody gets a connection any more.
        """
        self._check_open()
        return self._line.take_place()

    def come_back(self, place: Place[Pooled[In, Out]]) -> None:
        """Take the old place again, to `wait` there at once.

        Raises:
            PoolClosedError: nobody gets a connection any more.
        """
        self._check_open()
        self._line.come_back(place)

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed_error()

    async def wait(self, place: Place[Pooled[In, Out]]) -> Pooled[In, Out]:
        """Wait in line, until a connection is there; see `WaitingLine.wait`."""
        self._see_to_the_line()
        return await self._line.wait(place)

    def give_back(self, pooled: Pooled[In, Out]) -> None:
        """Keep a connection for others if it is fit, and discard it otherwise."""
        reason = pooled.find_fault()
        if reason is not None:
            self.discard(pooled, reason)
            return
        if not pooled.has_served:
            pooled.has_served = True
            self._engine.vouch_for(pooled.connection.id)
        self._in_use.discard(pooled)
        pooled.was_idle = False
        # The keeper needs not know, if there is nothing to find out.
        if self._is_closed or not (pooled.is_quiet() and self._serve(pooled)):
            self._coming.add(pooled)
            pooled.give_back(None)

    def discard(self, pooled: Pooled[In, Out], reason: DiscardReason) -> None:
        """Have a connection closed that was handed out."""
        self._in_use.discard(pooled)
        pooled.give_back(reason)

    def _serve(self, pooled: Pooled[In, Out]) -> bool:
        """Hand a connection to the first in line; False if nobody waits."""
        if not self._line.serve(pooled):
            return False
        pooled.begin_use()
        self._coming.discard(pooled)
        self._in_use.add(pooled)
        return True

    def _see_to_the_line(self) -> None:
        """See to it that for each who waits a connection is coming, if there is room.

        An idle one does not stay so because another is being made: it is quicker.
        """
        if self._is_closed:
            return
        waiting = len(self._line)
        while self._idle and len(self._coming) < waiting:
            self._wake_one()
        while (
            len(self._coming) + self._connecting < waiting
            and len(self._open) + self._connecting < self._bounds.size
        ):
            self._connecting += 1
            self._nursery.start_soon(self._keep)

    def _wake_one(self) -> None:
        pooled = self._idle.pop()
        self._coming.add(pooled)
        pooled.wake()

    # What a keeper does

    async def _keep(self) -> None:
        """Make a connection, lend it while it is good, and close it."""
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
                    reason = await self._lend(pooled)
                    self._coming.discard(pooled)
                    if reason is not None:
                        self._discarded[reason] += 1
                        self._see_to_the_line()  # it may have been on its way there
                        _close_roughly_unless_well(connection, reason)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            # Unless it is only that a connection, now closed, did not end well.
            if pooled is None or not is_failure(error):
                self._line.fail(error)
        except BaseException:
            # All of the pool is cancelled: who waits outside must not wait for it.
            self.close()
            raise
        finally:
            self._stop_connecting()
            if pooled is not None:
                self._coming.discard(pooled)
                self._open.discard(pooled)
            self._see_to_the_line()

    @asynccontextmanager
    async def _connect_if_wanted(self) -> AsyncGenerator[Connection[In, Out], None]:
        """Connect, unless those who waited for it have left or got another."""
        if len(self._coming) + self._connecting > len(self._line):
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

    async def _lend(self, pooled: Pooled[In, Out]) -> DiscardReason | None:
        """Lend a connection again and again, until there is a reason to stop.

        Returns:
            The reason; None if the pool is closed.
        """
        self._coming.add(pooled)
        reason = await pooled.settle()
        while reason is None and not self._is_closed:
            if self._serve(pooled):
                reason = await pooled.wait_given_back()
            else:
                reason = await self._idle_away(pooled)
            if reason is None:
                reason = await pooled.settle()
        return reason

    async def _idle_away(self, pooled: Pooled[In, Out]) -> DiscardReason | None:
        self._coming.discard(pooled)
        self._idle.append(pooled)
        until = trio.current_time() + self._bounds.max_idle
        try:
            reason = await pooled.wait_until_needed(until)
        finally:
            if not pooled.is_woken:
                self._idle.remove(pooled)
        if reason is not None:
            # Servers close what is idle; only its next answer tells how it is.
            self._engine.vouch_for(pooled.connection.id)
        return reason


def _close_roughly_unless_well(
    connection: Connection[In, Out], reason: DiscardReason
) -> None:
    """Abort what is in an unknown state; the others are closed gracefully."""
    if reason not in GENTLE and connection.close_reason != CloseReason.PEER_CLOSED:
        connection.abort()


def _closed_error() -> PoolClosedError:
    return PoolClosedError("this pool is closed: the block of open_pool is over")
