"""Requests from many tasks over one connection that is already there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionClosedError
from trio_tcp._kinds import check_kind
from trio_tcp._nursery import open_quiet_nursery
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
from trio_tcp._requests._window import Correlate, IsUnsolicited

__all__ = ["Requester"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
class Requester(Generic[In, Out]):
    """Lets many tasks send requests over one connection, and gives each its own reply.

    Requests go out without waiting for the replies to those before. Replies come back
    in the same order, as in Redis, or with an id that ``correlate`` finds. The
    connection may be a client's or a server's: a server can ask its devices.

    Nobody else may receive from the connection while the requester is open. Messages
    that the peer sends unasked are in `unsolicited`. To send messages that get no reply
    use `Connection.send`.

    A request that is cancelled leaves everything in order: if it is not sent yet, it
    never is. Otherwise it keeps its place until its late reply comes, which is dropped.

    The peer breaks the protocol, and so the connection, when it sends a reply that no
    request waits for, when ``correlate`` or ``is_unsolicited`` raises for a message, or
    when a message is malformed and may be anybody's.

    While the server of the connection drains, requests in flight are still answered;
    others are not sent any more.

    Example::

        async with Requester(connection) as requester:
            async with trio.open_nursery() as nursery:
                for key in keys:
                    nursery.start_soon(requester.request, f"GET {key}")
    """

    __slots__ = ("_connection", "_manager", "_requests")

    def __init__(
        self,
        connection: Connection[In, Out],
        *,
        correlate: Correlate | None = None,
        is_unsolicited: IsUnsolicited[In] | None = None,
        max_in_flight: float = DEFAULT_MAX_IN_FLIGHT,
        max_unsolicited: float = DEFAULT_MAX_UNSOLICITED,
        reply_timeout: float = DEFAULT_REPLY_TIMEOUT,
    ) -> None:
        """Prepare; ``async with`` begins to receive.

        Args:
            connection: stays yours to close. After the block it can be used for other
                things, except if it is broken, or requests were cancelled whose replies
                have not come: then it is aborted, as those would be taken for others'.
            correlate: ``message -> id``, for requests and for replies; ids can be
                hashed, and no two requests in flight have the same. For an unsolicited
                message it returns None. Without it, replies come in order.
            is_unsolicited: ``message -> bool``, where replies come in order, but not
                all messages are replies.
            max_in_flight: how many requests may wait for replies at the same time, or
                `math.inf`. Others wait in line, first come, first served.
            max_unsolicited: how many messages `unsolicited` holds, or `math.inf`. Those
                that come when it is full are dropped and counted: if they were waited
                for, a task that requests something before it takes them could wait for
                ever.
            reply_timeout: seconds after which the connection is broken when no reply
                comes, to any request, though some wait for one. `math.inf`: never. The
                deadline of one request is its caller's: `trio.fail_after`.

        Raises:
            ValueError: a number makes no sense, or both functions are given.
            TypeError: ``connection`` or a function is none.
        """
        check_kind("connection", connection, Connection)
        self._connection = connection
        self._requests: Requests[In, Out] = Requests(
            Rules(
                correlate=correlate,
                is_unsolicited=is_unsolicited,
                max_in_flight=max_in_flight,
                max_unsolicited=max_unsolicited,
                reply_timeout=reply_timeout,
            )
        )
        self._requests.refusal = _not_open

    async def __aenter__(self) -> Requester[In, Out]:
        """Begin to receive.

        Raises:
            trio.BusyResourceError: somebody else receives from the connection.
            RuntimeError: it had its block already.
        """
        if self._requests.refusal is not _not_open:
            raise RuntimeError("a requester has one block: make another requester")
        self._manager = self._open()
        await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Send those away who wait, in whatever task.

        Requests in flight raise `ConnectionLost`, those in line and later ones
        `ConnectionClosedError`.
        """
        return await self._manager.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - waits for nothing

    async def request(self, message: Out) -> In:
        """Send a request, and wait for its reply.

        Raises:
            ConnectionLost: the connection ended before the reply came (a
                `trio.BrokenResourceError`); it says whether the request was sent.
            MalformedMessageError: the reply makes no sense; others are not concerned.
            EncodeError: the codec cannot carry the request; it was not sent.
            RequestIdInUseError: when its turn came, another request with its id waited
                for a reply; it was not sent.
            ValueError: ``correlate`` finds no id in it; it was not sent.
            ConnectionClosedError: the requester is closed (a
                `trio.ClosedResourceError`).

        Cancellation:
            A request in line is not sent. One that is sent may be processed; its reply
            will be dropped.
        """
        return await self._requests.ask(message, is_repeatable=False)

    @property
    def unsolicited(self) -> trio.MemoryReceiveChannel[In]:
        """What the peer sends unasked. It ends with the connection."""
        return self._requests.unsolicited

    def statistics(self) -> RequesterStatistics:
        """Return the counters as they are now."""
        return self._requests.statistics()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None, None]:
        async with open_quiet_nursery() as nursery:
            exchange = Exchange(self._connection, self._requests, nursery)
            self._requests.refusal = None
            nursery.start_soon(self._run, exchange)
            try:
                yield
            finally:
                exchange.close(self._closed_error())
                self._requests.refuse(self._closed_error)
                nursery.cancel_scope.cancel()

    async def _run(self, exchange: Exchange[In, Out]) -> None:
        fault = await exchange.run()
        self._requests.lose(fault)
        self._requests.refuse(lambda: lost(fault, was_sent=False))

    def _closed_error(self) -> ConnectionClosedError:
        error = ConnectionClosedError("this requester is closed")
        error.connection_id = self._connection.id
        return error


def _not_open() -> Exception:
    return RuntimeError("use a requester in its block: async with Requester(...)")
