"""The engine that connects again: one state of affairs for all who want a connection.

Sessions, requesters and pools differ in what they do with connections. What they share
is here: when to try, when to wait, when to give up. All of it is about the server, and
not about one connection, so it is kept once for all users of an engine:

- A server that has not answered since it last failed is asked by one user at a time,
  each after the delay that the failures so far have earned. Once it answers, everybody
  may connect at once.
- What happens to several connections at the same time, as when a server is restarted,
  is one failure and not several. Each connection remembers which failure it came after:
  its own end counts only if no other was counted since.
- The end of everything (`Reconnector.stop`) reaches all who wait, and all who connect.

A connection's context manager may hold nurseries, so it must be left by the task that
has entered it. `Reconnector.next` therefore does everything in the task of its caller.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
)
from random import Random
from typing import Generic, TypeVar, cast, final

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._nursery import leaves
from trio_tcp._reconnecting._attempts import (
    OUR_DOING,
    Connect,
    Prepare,
    check_connect,
    end_of,
    fault_of,
    is_failure,
    never,
    seeded,
)
from trio_tcp._reconnecting._backoff import Backoff
from trio_tcp._reconnecting._states import (
    Connecting,
    Ready,
    SessionState,
    States,
    StateT,
    Stopped,
    Waiting,
)

__all__ = ["Reconnector"]

In = TypeVar("In")
Out = TypeVar("Out")


@attrs.frozen
class _Prepared(Generic[In, Out]):
    """A connection, how to leave it, and after how many failures it was ready."""

    connection: Connection[In, Out]
    leave: AsyncExitStack[bool | None]
    came_after: int


@final
class Reconnector(Generic[In, Out]):
    """Makes connections to one server for one or more users, however often it fails.

    It owns nothing: connections belong to the tasks that are in `next`.
    """

    def __init__(
        self,
        connect: Connect[In, Out],
        *,
        backoff: Backoff,
        prepare: Prepare[In, Out] | None = None,
        is_permanent: Callable[[Exception], bool] = never,
        random: Random | None = None,
    ) -> None:
        """Prepare to connect; nothing is done before `next`.

        Args:
            connect: is called for each attempt, so a name is looked up each time.
            backoff: how long to wait between attempts.
            prepare: is run with each new connection. Its failure is the attempt's.
            is_permanent: says of what made an attempt fail, or a connection end,
                whether to stop with this error.
            random: for jitter; by default one that the module `random` seeds.

        Raises:
            TypeError: ``connect`` is a connection, not what opens one; or another is
                not what it must be.
        """
        check_connect(connect)
        check_kind("backoff", backoff, Backoff)
        check_function("is_permanent", is_permanent)
        if prepare is not None:
            check_function("prepare", prepare)
        if random is not None:
            check_kind("random", random, Random)
        self._connect = connect
        self._backoff = backoff
        self._prepare = prepare
        self._is_permanent = is_permanent
        self._random = random or seeded()
        self._delays = backoff.delays(self._random)
        self._failures = 0  # in a row
        self._retry_at = -math.inf
        self._ready_at = math.inf
        self._failures_ever = 0  # each gets a number, so that none is counted twice
        self._vouched_for: set[int] = set()
        self._probing = trio.Lock()
        self._attempts: set[trio.CancelScope] = set()
        self._states = States()

    # States

    @property
    def state(self) -> SessionState:
        """What is known about the server."""
        return self._states.current

    def states(self) -> AsyncIterator[SessionState]:
        """Iterate over the state as it is and each that follows; `Stopped` is the last.

        None is left out, however short it was or slow the iteration is.
        """
        return self._states.iterate()

    async def wait_for(self, kind: type[StateT]) -> StateT:
        """Wait until the state is of this kind, and return it, even if it is over soon.

        Raises:
            Exception: it stopped with this error, so what is waited for cannot come.
            trio.ClosedResourceError: likewise, as this side has closed it.
        """
        return await self._states.wait_for(kind)

    def check_running(self) -> None:
        """Raise what it has stopped with, if it has; as `wait_for`."""
        self._states.check_running()

    def stop(self, error: Exception | None = None) -> None:
        """Make no more attempts; all who wait for a connection get this error.

        Connections that are ready are left alone. Stopping again changes nothing.

        Args:
            error: None means that this side is closed: `trio.ClosedResourceError`.
        """
        if not isinstance(self.state, Stopped):
            self._states.move(Stopped(error))
            for attempt in self._attempts:
                attempt.cancel()

    # Connections

    def vouch_for(self, connection_id: int) -> None:
        """Say that the server is healthy, whatever becomes of this connection.

        For connections that are used more than once: one that has served well may end
        at any time, and nobody is to wait for another because of that. Failures before
        are forgotten.
        """
        self._vouched_for.add(connection_id)
        self._forget_failures()

    @asynccontextmanager
    async def next(self) -> AsyncGenerator[Connection[In, Out], None]:
        """Try until a connection is there and prepared; it is closed after the block.

        Its end counts as the server's failure if the connection was broken or closed
        from the other side, or if the block raises a `ConnectionFault` of it. That is
        one more failure in a row, or the first if the server had been `Ready` for
        `Backoff.healthy` seconds. A connection that this side closes while it is whole
        counts for nothing.

        Raises:
            Exception: it has stopped with this error: a permanent one, or the last
                before it gave up. What ``connect`` and ``prepare`` raise that is no
                failure of a connection leaves as itself, and stops nothing.
            trio.ClosedResourceError: it was stopped without an error.
            BaseException: what the block raises, as itself.

        Cancellation:
            At any moment; what was open is closed. Another user goes on in its place.
        """
        prepared = await self._reach()
        connection = prepared.connection
        fault: Exception | None = None
        try:
            async with prepared.leave:
                try:
                    yield connection
                except BaseException as error:
                    fault = fault_of(error, connection.id)
                    raise
        finally:
            if fault is None and connection.close_reason not in OUR_DOING:
                fault = end_of(connection)
            is_excused = connection.id in self._vouched_for
            self._vouched_for.discard(connection.id)
            if fault is not None and not self._is_final(fault) and not is_excused:
                self._broken(fault, prepared.came_after)

    async def _reach(self) -> _Prepared[In, Out]:
        while True:
            await trio.lowlevel.checkpoint()
            self.check_running()
            if isinstance(self.state, Ready):
                prepared = await self._attempt()
            else:
                async with self._probing:
                    prepared = await self._probe()
            if prepared is not None:
                return prepared

    async def _probe(self) -> _Prepared[In, Out] | None:
        """Ask a server that may be down, when it is time; None if there is news."""
        with trio.move_on_at(self._retry_at):
            while not isinstance(self.state, Ready | Stopped):
                await self._states.wait_for_next()
        if isinstance(self.state, Ready | Stopped):
            return None
        error = self.state.error
        self._states.move(Connecting(self._failures + 1, error))
        return await self._attempt()

    async def _attempt(self) -> _Prepared[In, Out] | None:
        """Make a connection and prepare it; None if that failed, or all is stopped."""
        came_after = self._failures_ever
        try:
            prepared = await self._open()
        except Exception as error:
            errors = cast("list[Exception]", list(leaves(error)))
            if any(map(self._is_final, errors)):
                return None
            if not is_failure(error):
                raise
            self._failed(errors[0], came_after)
            return None
        if prepared is not None and not isinstance(self.state, Ready | Stopped):
            self._ready_at = trio.current_time()
            self._states.move(Ready(prepared.connection.id))
        return prepared

    async def _open(self) -> _Prepared[In, Out] | None:
        async with AsyncExitStack() as stack:
            # For `stop`. What is entered in a scope must be left in it: so the scope is
            # around the connection as long as there is one, though of no use by then.
            attempt = stack.enter_context(trio.CancelScope())
            self._attempts.add(attempt)
            try:
                connection = await stack.enter_async_context(self._connect())
                if self._prepare is not None:
                    await self._prepare(connection)
            finally:
                self._attempts.discard(attempt)
            if not attempt.cancel_called:
                return _Prepared(connection, stack.pop_all(), self._failures_ever)
        return None

    def _is_final(self, error: Exception) -> bool:
        if self._is_permanent(error):
            self.stop(error)
            return True
        return False

    def _failed(self, error: Exception, came_after: int) -> None:
        """Count a failed attempt that began after so many failures."""
        if self._is_news(came_after):
            self._forget_if_healthy()
            self._failures += 1
            self._back_off(error)

    def _broken(self, error: Exception, came_after: int) -> None:
        """Count the end of a connection that was ready after so many failures.

        That of a healthy server is no failure yet: it may be there again at once.
        """
        if self._is_news(came_after):
            if not self._forget_if_healthy():
                self._failures += 1
            self._back_off(error)

    def _is_news(self, came_after: int) -> bool:
        return not isinstance(self.state, Stopped) and came_after == self._failures_ever

    def _forget_if_healthy(self) -> bool:
        is_ready = isinstance(self.state, Ready)
        seconds = trio.current_time() - self._ready_at
        if not is_ready or seconds < self._backoff.healthy:
            return False
        self._forget_failures()
        return True

    def _back_off(self, error: Exception) -> None:
        self._failures_ever += 1
        if self._failures >= self._backoff.max_attempts:
            self.stop(error)
            return
        delay = next(self._delays)
        self._retry_at = trio.current_time() + delay
        self._states.move(Waiting(delay, error))

    def _forget_failures(self) -> None:
        self._failures = 0
        self._delays = self._backoff.delays(self._random)
