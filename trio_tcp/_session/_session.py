"""One connection after another: a client that goes on when its connection breaks.

The body of ``async for connection in session`` can be left at any moment, and from
inside cancel scopes that the session knows nothing about. But a connection's context
manager must be left where it was entered. So each connection has a keeper: a task in
the session's nursery that opens it, holds it until it is let go, and closes it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._nursery import is_cancellation, open_quiet_nursery
from trio_tcp._reconnecting import (
    DEFAULT_BACKOFF,
    Backoff,
    Connect,
    Prepare,
    Reconnector,
    SessionState,
    StateT,
    never,
)
from trio_tcp._session._keeper import Break, Keeper

__all__ = ["Session", "open_session"]

In = TypeVar("In")
Out = TypeVar("Out")


@asynccontextmanager
async def open_session(
    connect: Connect[In, Out],
    *,
    backoff: Backoff = DEFAULT_BACKOFF,
    prepare: Prepare[In, Out] | None = None,
    is_permanent: Callable[[Exception], bool] = never,
    random: Random | None = None,
) -> AsyncGenerator[Session[In, Out], None]:
    """Stay in touch with a server: one connection after another, as each breaks.

    Nothing is connected before the loop asks for it. At the end of the block the last
    connection is closed gracefully; if the block raises, it is aborted.

    Args:
        connect: opens a connection, and is called for each attempt, so that a name is
            looked up each time: ``functools.partial(connect_tcp, ...)``.
        backoff: how long to wait between attempts, and when to give up.
        prepare: ``async def prepare(connection)``, run with each new connection before
            the loop gets it: to log in, to subscribe again. Where it fails as a
            connection does (`ConnectionFault`, `OSError`, `trio.TooSlowError`), the
            attempt has failed. Anything else that it raises leaves the loop.
        is_permanent: says of an exception that made an attempt fail, or a connection
            end, whether trying again is in vain: a wrong certificate, a refused login.
        random: for jitter; by default one that the module `random` seeds.

    Raises:
        TypeError: ``connect`` is a connection, not what opens one; or another argument
            is not of its type.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        Closes the connection at once.

    Example::

        connect = partial(trio_tcp.connect_tcp, "localhost", 8888, codec=codecs.Lines())
        async with trio_tcp.open_session(connect) as session:
            async for connection in session:
                with session.until_broken():
                    async for line in connection:
                        print(line)
    """
    reconnector = Reconnector(
        connect,
        backoff=backoff,
        prepare=prepare,
        is_permanent=is_permanent,
        random=random,
    )
    async with open_quiet_nursery() as nursery:
        session = Session(reconnector, nursery)
        try:
            yield session
            reconnector.stop()
            await session._let_go()  # noqa: SLF001 - this is its owner
        except BaseException as error:
            if not is_cancellation(error):
                session._abort()  # noqa: SLF001 - as above
            raise
        finally:
            reconnector.stop()
            nursery.cancel_scope.cancel()


@final
class Session(Generic[In, Out]):
    """The connections to a server, one after another. Made by `open_session`.

    ``async for connection in session`` gives ordinary connections. The next iteration
    closes the last connection, gracefully where it is whole, and waits until there is
    another. However a connection ended, the server went away: that it closed cleanly
    (`PeerClosed`) is a break as any other, and so is a body that is done with its
    connection. Each delays the next attempt, as `Backoff` has it.

    The loop ends by ``break`` (the connection stays open to the end of the session's
    block), by what its body raises, by cancellation, or when trying again is in vain.
    Then the iteration raises the permanent error, or the last before it gave up, as
    itself.

    Attributes:
        last_break: how the last connection ended, once the loop has asked for the next;
            None before. It is there when that iteration begins, or raises.
    """

    def __init__(
        self, reconnector: Reconnector[In, Out], nursery: trio.Nursery
    ) -> None:
        self.last_break: Break | None = None
        self._reconnector = reconnector
        self._nursery = nursery
        self._keeper: Keeper[In, Out] | None = None
        self._is_asking = False

    def __aiter__(self) -> AsyncIterator[Connection[In, Out]]:
        return self

    async def __anext__(self) -> Connection[In, Out]:
        """Close the last connection, and wait for the next.

        Raises:
            Exception: the permanent error, or the last before it gave up.
            trio.ClosedResourceError: the session's block has ended.
            trio.BusyResourceError: another task waits for a connection.

        Cancellation:
            Breaks off the attempt that is under way; the loop can be entered again.
        """
        if self._is_asking:
            raise trio.BusyResourceError("another task waits for a connection already")
        self._is_asking = True
        try:
            await self._let_go()
            self._reconnector.check_running()
            keeper: Keeper[In, Out] = Keeper(self._reconnector)
            opened: Connection[In, Out] | Exception = await self._nursery.start(
                keeper.keep
            )
        finally:
            self._is_asking = False
        if isinstance(opened, Exception):
            raise opened
        self._keeper = keeper
        return opened

    # Breaks

    @contextmanager
    def until_broken(self) -> Generator[None, None, None]:
        """Contain the end of the current connection, so that the loop goes on.

        A `ConnectionFault` of that connection which leaves the block ends here, and the
        connection with it, also if it comes in a group, from tasks of the block.
        Everything else goes on as itself, such as the fault of another connection.

        Raises:
            RuntimeError: there is no connection: this is not in the loop.
        """
        keeper = self._current()
        try:
            yield
        except BaseException as error:  # noqa: ASYNC103 - Cancelled is in the rest
            rest = keeper.contain(error)
            if rest is error:
                raise
            if rest is not None:
                raise rest from None  # noqa: ASYNC104 - Cancelled is in it

    def confirm(self, count: int = 1) -> None:
        """Note what the peer has said: so many more messages have arrived.

        It is about the messages sent over the current connection in the loop's body, in
        the order in which they were sent. `Break.unconfirmed` counts the others.

        Raises:
            ValueError: fewer than that are unconfirmed.
            RuntimeError: there is no connection: this is not in the loop.
        """
        self._current().confirm(count)

    def _current(self) -> Keeper[In, Out]:
        if self._keeper is None:
            raise RuntimeError("the session has no connection: ask for one in its loop")
        return self._keeper

    async def _let_go(self) -> None:
        """Close the last connection, if there is one, and note how it ended."""
        if self._keeper is not None:
            await self._keeper.let_go()
            self.last_break = self._keeper.end()
            self._keeper = None

    def _abort(self) -> None:
        if self._keeper is not None:
            self._keeper.abort()

    # States

    @property
    def state(self) -> SessionState:
        """What is known about the server: connecting, ready, waiting or stopped."""
        return self._reconnector.state

    def states(self) -> AsyncIterator[SessionState]:
        """Iterate over the state as it is and each that follows; `Stopped` is the last.

        None is left out, however short it was or slow the iteration is, nor when a step
        of it is cancelled. Any number of tasks may iterate, each from the state as it
        is.
        """
        return self._reconnector.states()

    async def wait_for(self, kind: type[StateT]) -> StateT:
        """Wait until the state is of this kind, and return it, even if it is over soon.

        Raises:
            Exception: the session stopped with this error, so it cannot come.
            trio.ClosedResourceError: the session's block has ended; likewise.

        Cancellation:
            Changes nothing.
        """
        return await self._reconnector.wait_for(kind)
