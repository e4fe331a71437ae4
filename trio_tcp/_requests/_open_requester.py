"""Requests from many tasks over one connection at a time, the next when one is lost.

What was in flight when a connection was lost may have been processed or not; nobody can
know. Such a request fails, unless it was marked as repeatable and the retry budget has
something left: then it goes back to the head of the line, where those stand that were
never sent. A connection is closed before the next is opened. So no request is sent
while it is in flight already, and order is kept.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionClosedError, PeerClosed
from trio_tcp._nursery import open_quiet_nursery, ungrouped
from trio_tcp._reconnecting import (
    DEFAULT_BACKOFF,
    Backoff,
    Connect,
    Prepare,
    Reconnector,
    SessionState,
    StateT,
    Stopped,
    copied,
    never,
)
from trio_tcp._requests._exchange import Exchange
from trio_tcp._requests._requests import (
    DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_MAX_UNSOLICITED,
    DEFAULT_REPLY_TIMEOUT,
    RequesterStatistics,
    Requests,
    Rules,
    lost,
)
from trio_tcp._requests._retry_budget import RetryBudget, RetryTokens
from trio_tcp._requests._window import Correlate, IsUnsolicited, Request

__all__ = ["ReconnectingRequester", "open_requester"]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_RETRY_BUDGET = RetryBudget()


@asynccontextmanager
async def open_requester(
    connect: Connect[In, Out],
    *,
    correlate: Correlate | None = None,
    is_unsolicited: IsUnsolicited[In] | None = None,
    max_in_flight: float = DEFAULT_MAX_IN_FLIGHT,
    max_unsolicited: float = DEFAULT_MAX_UNSOLICITED,
    reply_timeout: float = DEFAULT_REPLY_TIMEOUT,
    backoff: Backoff = DEFAULT_BACKOFF,
    prepare: Prepare[In, Out] | None = None,
    is_permanent: Callable[[Exception], bool] = never,
    retry_budget: RetryBudget = DEFAULT_RETRY_BUDGET,
    random: random.Random | None = None,
) -> AsyncGenerator[ReconnectingRequester[In, Out], None]:
    """Send requests from many tasks to a server, over whatever connection there is.

    Connects at once, and again whenever the connection is lost. Requests wait until
    there is one, for as long as their callers let them: ``trio.fail_after(5)`` around a
    request is its deadline.

    At the end of the block the connection is closed gracefully, unless requests that
    were cancelled still wait for replies. If the block raises, it is closed at once.

    Args:
        connect: opens a connection: ``functools.partial(connect_tcp, ...)``.
        correlate: as of `Requester`.
        is_unsolicited: as of `Requester`.
        max_in_flight: as of `Requester`.
        max_unsolicited: as of `Requester`.
        reply_timeout: as of `Requester`.
        backoff: how long to wait between attempts to connect.
        prepare: is run with each new connection before any request (a login, say).
        is_permanent: says of what made an attempt fail, or a connection end, whether to
            give up. All requests, and later ones, then raise this error.
        retry_budget: how many requests may be sent again, of those that are marked as
            repeatable.
        random: for the backoff's jitter; by default one that the module `random` seeds.

    Raises:
        ValueError: a number makes no sense, or both functions are given.
        TypeError: ``connect`` is a connection, not what opens one; or another argument
            is not of its type.
        BaseException: what the block raises, as itself; and what ``connect`` and
            ``prepare`` raise that is no failure of a connection: then the block is
            cancelled.

    Cancellation:
        Closes the connection at once.

    Example::

        connect = partial(connect_tcp, "localhost", 6379, codec=codecs.Lines())
        async with open_requester(connect) as requester:
            print(await requester.request("PING"))
    """
    rules: Rules[In, Out] = Rules(
        correlate=correlate,
        is_unsolicited=is_unsolicited,
        max_in_flight=max_in_flight,
        max_unsolicited=max_unsolicited,
        reply_timeout=reply_timeout,
    )
    reconnector: Reconnector[In, Out] = Reconnector(
        connect,
        backoff=backoff,
        prepare=prepare,
        is_permanent=is_permanent,
        random=random,
    )
    tokens = RetryTokens(retry_budget, trio.current_time)
    requests: Requests[In, Out] = Requests(rules)
    requester = ReconnectingRequester(requests, reconnector, tokens)
    with ungrouped():
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(requester._run, nursery)  # noqa: SLF001 - its owner
            try:
                yield requester
            except BaseException:
                nursery.cancel_scope.cancel()
                raise
            finally:
                requester._close()  # noqa: SLF001 - its owner


@final
class ReconnectingRequester(Generic[In, Out]):
    """Lets many tasks send requests to a server. Made by `open_requester`."""

    __slots__ = ("_exchange", "_reconnector", "_requests", "_tokens")

    def __init__(
        self,
        requests: Requests[In, Out],
        reconnector: Reconnector[In, Out],
        tokens: RetryTokens,
    ) -> None:
        self._requests = requests
        self._reconnector = reconnector
        self._tokens = tokens
        self._exchange: Exchange[In, Out] | None = None

    async def request(self, message: Out) -> In:
        """Send a request, at most once, and wait for its reply.

        Raises:
            ConnectionLost: it was sent, and the connection ended before the reply came
                (a `trio.BrokenResourceError`). It may have been processed.
            Exception: the permanent error after which no connection is tried any more;
                otherwise as `Requester.request`.

        Cancellation:
            As of `Requester.request`.
        """
        self._tokens.deposit()
        return await self._requests.ask(message, is_repeatable=False)

    async def request_repeatable(self, message: Out) -> In:
        """Send a request that does no harm if it is processed more than once.

        As `request`, but when the connection ends before the reply comes, it is sent
        again over the next one, as often as the retry budget allows. `ConnectionLost`
        then means that it does not.

        Raises:
            Exception: as `request`.

        Cancellation:
            As of `request`; it is not sent again.
        """
        self._tokens.deposit()
        return await self._requests.ask(message, is_repeatable=True)

    @property
    def unsolicited(self) -> trio.MemoryReceiveChannel[In]:
        """What the server sends unasked, over all connections.

        It ends with the block, or with a permanent error. What is sent while there is
        no connection is lost, and nothing here shows it: see `open_session`.
        """
        return self._requests.unsolicited

    @property
    def state(self) -> SessionState:
        """What is known about the server: whether there is a connection, or will be."""
        return self._reconnector.state

    async def wait_for(self, kind: type[StateT]) -> StateT:
        """Wait until the state is of this kind, and return it.

        Raises:
            Exception: the permanent error after which it cannot come.
            trio.ClosedResourceError: likewise, as the requester is closed.

        Cancellation:
            Changes nothing.
        """
        return await self._reconnector.wait_for(kind)

    def statistics(self) -> RequesterStatistics:
        """Return the counters as they are now, over all connections."""
        return self._requests.statistics()

    async def _run(self, nursery: trio.Nursery) -> None:
        """Have one connection after the other, until none makes sense any more."""
        try:
            while True:
                async with self._reconnector.next() as connection:
                    await self._use(connection, nursery)
        except Exception as error:
            state = self._reconnector.state
            if isinstance(state, Stopped) and state.error is None:
                return  # closed
            failure = error  # the other name is gone after this block
            self._requests.refuse(lambda: copied(failure))
            if not isinstance(state, Stopped):
                raise

    async def _use(
        self, connection: Connection[In, Out], nursery: trio.Nursery
    ) -> None:
        """Use one connection as long as it lasts, and see what becomes of the rest."""
        self._exchange = Exchange(connection, self._requests, nursery)
        fault = await self._exchange.run()
        requests = self._requests.window.take_all()
        if requests or not isinstance(fault, PeerClosed | ConnectionClosedError):
            connection.abort()  # a long goodbye would hold up the next one
        again: list[Request[In, Out]] = []
        for request in requests:
            if self._may_be_sent_again(request):
                again.append(request)
            else:
                request.fail(lost(fault, was_sent=True))
        self._requests.put_back(again)

    def _may_be_sent_again(self, request: Request[In, Out]) -> bool:
        is_wanted = request.is_repeatable and not request.is_cancelled
        return is_wanted and self._tokens.withdraw()

    def _close(self) -> None:
        """Send all away who wait, and let the connection go."""
        if self._exchange is not None:
            self._exchange.close(_closed_error())
        self._requests.refuse(_closed_error)
        self._reconnector.stop()


def _closed_error() -> ConnectionClosedError:
    return ConnectionClosedError("this requester is closed")
