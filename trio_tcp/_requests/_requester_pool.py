"""Requests spread over several connections to one server.

One connection carries many requests at a time, but is one stream: a large reply, or a
lost segment, holds up all that come after it. And one connection is one worker of many
servers, and one backend of many balancers. So there are several, each with a requester,
and each request goes where the fewest are in flight.

A connection that fails all it is given would have the fewest in flight, and so be given
everything. That is why those without a connection are passed over while others have
one. They connect by themselves, and share one backoff and one retry budget.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar, final

import trio

from trio_tcp._nursery import open_quiet_nursery, ungrouped
from trio_tcp._reconnecting import (
    DEFAULT_BACKOFF,
    Backoff,
    Connect,
    Prepare,
    Reconnector,
    SessionState,
    never,
)
from trio_tcp._requests._open_requester import (
    DEFAULT_RETRY_BUDGET,
    ReconnectingRequester,
)
from trio_tcp._requests._requests import (
    DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_REPLY_TIMEOUT,
    RequesterStatistics,
    Requests,
    Rules,
    nowhere,
)
from trio_tcp._requests._retry_budget import RetryBudget, RetryTokens
from trio_tcp._requests._window import Correlate
from trio_tcp._validators import check_whole

__all__ = ["RequesterPool", "open_requester_pool"]

In = TypeVar("In")
Out = TypeVar("Out")

_Member: TypeAlias = tuple[ReconnectingRequester[In, Out], Requests[In, Out]]


@asynccontextmanager
async def open_requester_pool(
    connect: Connect[In, Out],
    *,
    size: int,
    correlate: Correlate | None = None,
    max_in_flight: float = DEFAULT_MAX_IN_FLIGHT,
    reply_timeout: float = DEFAULT_REPLY_TIMEOUT,
    backoff: Backoff = DEFAULT_BACKOFF,
    prepare: Prepare[In, Out] | None = None,
    is_permanent: Callable[[Exception], bool] = never,
    retry_budget: RetryBudget = DEFAULT_RETRY_BUDGET,
    random: random.Random | None = None,
) -> AsyncGenerator[RequesterPool[In, Out], None]:
    """Send requests from many tasks to a server, over several connections.

    As `open_requester`, of which this is several: all connect at once, and stay
    connected. What the server sends unasked (``correlate`` finds no id in it) is
    dropped, and counted.

    Args:
        connect: opens a connection, each time it is called.
        size: how many connections.
        correlate: as of `Requester`.
        max_in_flight: as of `Requester`, for each connection.
        reply_timeout: as of `Requester`.
        backoff: how long to wait between attempts to connect; one for all.
        prepare: is run with each new connection before any request.
        is_permanent: as of `open_requester`.
        retry_budget: as of `open_requester`; one for all.
        random: for the backoff's jitter; by default one that the module `random` seeds.

    Raises:
        ValueError: a number makes no sense.
        TypeError: as `open_requester`.
        BaseException: as `open_requester`.

    Cancellation:
        Closes all connections at once.

    Example::

        connect = partial(connect_tcp, "localhost", 6379, codec=codecs.Lines())
        async with open_requester_pool(connect, size=4) as requester:
            print(await requester.request("PING"))
    """
    check_whole("size", size, 1)
    rules: Rules[In, Out] = Rules(
        correlate=correlate,
        is_unsolicited=None,
        max_in_flight=max_in_flight,
        max_unsolicited=1,
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
    members: list[_Member[In, Out]] = []
    for _ in range(size):
        requests: Requests[In, Out] = Requests(rules)
        requests.unsolicited.close()
        members.append((ReconnectingRequester(requests, reconnector, tokens), requests))
    with ungrouped():
        async with open_quiet_nursery() as nursery:
            for requester, _ in members:
                nursery.start_soon(requester._run, nursery)  # noqa: SLF001 - its owner
            try:
                yield RequesterPool(members, reconnector)
            except BaseException:
                nursery.cancel_scope.cancel()
                raise
            finally:
                for requester, _ in members:
                    requester._close()  # noqa: SLF001 - its owner


@final
class RequesterPool(Generic[In, Out]):
    """Lets many tasks send requests to a server. Made by `open_requester_pool`."""

    __slots__ = ("_members", "_reconnector")

    def __init__(
        self, members: list[_Member[In, Out]], reconnector: Reconnector[In, Out]
    ) -> None:
        # The longest unused first, so that all are used where little is to be done.
        self._members = members
        self._reconnector = reconnector

    async def request(self, message: Out) -> In:
        """Send a request, at most once; as `ReconnectingRequester.request`.

        Raises:
            Exception: as there.

        Cancellation:
            As there.
        """
        return await self._choose().request(message)

    async def request_repeatable(self, message: Out) -> In:
        """Send a request that does no harm if it is processed more than once.

        As `ReconnectingRequester.request_repeatable`; it is sent again over the
        connection that replaces the one that was lost.

        Raises:
            Exception: as there.

        Cancellation:
            As there.
        """
        return await self._choose().request_repeatable(message)

    @property
    def state(self) -> SessionState:
        """What is known about the server."""
        return self._reconnector.state

    def statistics(self) -> tuple[RequesterStatistics, ...]:
        """Return the counters of each connection as they are now, in no order."""
        return tuple(requester.statistics() for requester, _ in self._members)

    def _choose(self) -> ReconnectingRequester[In, Out]:
        """Find the one with the fewest requests, among those that have a connection."""
        chosen = min(self._members, key=_burden)
        self._members.remove(chosen)
        self._members.append(chosen)
        return chosen[0]


def _burden(member: _Member[In, Out]) -> tuple[bool, int]:
    _, requests = member
    is_apart = requests.send_line is nowhere
    return (is_apart, len(requests.window) + len(requests.line))
