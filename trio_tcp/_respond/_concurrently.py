"""Several requests of one connection at once, and their replies in order, or not.

One task reads; each request has a task of its own, from the moment it is read until its
reply is sent. Those tasks are few, as the requests in hand are bounded: so many run the
function, so many more wait to do so, first come first served, or, where replies keep
the order, have a reply already and wait for the one before it. When no more may be in
hand, either nothing is read (backpressure), or what is read is answered at once, by
another function that cannot wait (load shedding). A reply of that kind waits for its
turn, too, and of these there may be as many again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import MalformedMessageError
from trio_tcp._nursery import leaves, ungrouped
from trio_tcp._options import Concurrency
from trio_tcp._respond._request_errors import OnError, is_final, is_of

__all__ = ["ConcurrentAnswers", "Policy"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
@attrs.frozen
class Policy(Generic[In, Out]):
    """What becomes of requests that cannot be answered as usual.

    Attributes:
        on_error: as of `respond`.
        shed: as of `respond`.
        deadline: as of `respond`.
    """

    on_error: OnError[In, Out] | None
    shed: Callable[[In], Out | None] | None
    deadline: Callable[[In], float | None] | None


@final
class _Turn:
    """The place of one reply among all, and of its request among those that wait.

    Attributes:
        before: set when the reply before this one is sent; None if none need be.
        sent: set when this one is.
        may_start: set when the request's time has come.
    """

    __slots__ = ("before", "may_start", "sent")

    def __init__(self, before: trio.Event | None) -> None:
        self.before = before
        self.sent = trio.Event()
        self.may_start = trio.Event()


@final
class ConcurrentAnswers(Generic[In, Out]):
    """An async function that answers the requests of one connection, some at once.

    Args:
        function: answers one.
        connection: where they come from.
        concurrency: how many.
        policy: what else may become of them.
    """

    def __init__(
        self,
        function: Callable[[In], Awaitable[Out | None]],
        connection: Connection[In, Out],
        concurrency: Concurrency,
        policy: Policy[In, Out],
    ) -> None:
        self._function = function
        self._connection = connection
        self._limit = concurrency.limit
        self._most = concurrency.limit + concurrency.queue
        self._keeps_order = concurrency.replies == "in_order"
        self._policy = policy
        self._running = 0
        self._admitted = 0  # in hand, to be answered by the function
        self._placed = 0  # in hand, with a reply from the beginning
        self._queue: deque[_Turn] = deque()
        self._last: _Turn | None = None
        self._room = trio.lowlevel.ParkingLot()
        # As the connection itself would: this is a part of it that has its own module.
        self._patience = connection._incoming.patience  # noqa: SLF001

    async def run(self) -> None:
        """Answer until the peer's end, or the drain, and then what is in hand.

        Raises:
            Exception: what ends the connection, and cancels what is in hand.
        """
        try:
            with ungrouped():
                async with trio.open_nursery() as nursery:
                    await self._read(nursery)
        except BaseExceptionGroup as group:
            # The reader and those who send hear of one failure of the connection each.
            first, *others = leaves(group)
            if not all(is_of(error, self._connection) for error in (first, *others)):
                raise
            raise first from first.__cause__
        finally:
            self._patience.end_work()

    # Reading

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            while self._is_full:
                await self._room.park()
            try:
                request = await self._connection.receive()
            except trio.EndOfChannel:
                return
            except MalformedMessageError as error:
                self._place(nursery, self._apology(error, None), None)
                continue
            try:
                seconds = self._seconds_wanted(request)
                if seconds > 0 and self._admitted < self._most:
                    self._admit(nursery, request, seconds)
                    continue
                reply = self._shed(request)
            except Exception as error:  # noqa: BLE001 - of the user's functions
                reply = self._apology(error, request)
            self._place(nursery, reply, request)

    @property
    def _is_full(self) -> bool:
        """Whether nothing more is read."""
        is_busy = self._policy.shed is None and self._admitted >= self._most
        return is_busy or self._placed >= self._most

    def _seconds_wanted(self, request: In) -> float:
        deadline = self._policy.deadline
        seconds = None if deadline is None else deadline(request)
        return math.inf if seconds is None else seconds

    def _shed(self, request: In) -> Out | None:
        assert self._policy.shed is not None
        return self._policy.shed(request)

    def _admit(self, nursery: trio.Nursery, request: In, seconds: float) -> None:
        """Take a request on."""
        turn = self._next_turn()
        self._admitted += 1
        self._queue.append(turn)
        self._start_more()
        nursery.start_soon(self._answer, request, seconds, turn)

    def _place(
        self, nursery: trio.Nursery, reply: Out | None, request: In | None
    ) -> None:
        """Put a reply that is there already behind those to come."""
        if reply is not None:
            self._placed += 1
            nursery.start_soon(self._pass_on, reply, request, self._next_turn())

    def _next_turn(self) -> _Turn:
        before = self._last
        is_first = before is None or before.sent.is_set() or not self._keeps_order
        turn = _Turn(None if is_first or before is None else before.sent)
        self._last = turn
        self._patience.begin_work()
        return turn

    # Answering

    async def _answer(self, request: In, seconds: float, turn: _Turn) -> None:
        reply: Out | None = None
        try:
            with trio.move_on_after(seconds) as scope:
                reply = await self._run_function(request, turn)
            if scope.cancelled_caught:
                reply = self._shed(request)
        except Exception as error:  # noqa: BLE001 - of the user's functions
            reply = self._apology(error, request)
        await self._send(reply, request, turn)
        self._admitted -= 1
        self._leave()

    async def _run_function(self, request: In, turn: _Turn) -> Out | None:
        try:
            await turn.may_start.wait()
            return await self._function(request)
        finally:
            if turn.may_start.is_set():
                self._running -= 1
                self._start_more()
            else:
                self._queue.remove(turn)

    def _start_more(self) -> None:
        while self._queue and self._running < self._limit:
            self._running += 1
            self._queue.popleft().may_start.set()

    async def _pass_on(self, reply: Out, request: In | None, turn: _Turn) -> None:
        await self._send(reply, request, turn)
        self._placed -= 1
        self._leave()

    async def _send(self, reply: Out | None, request: In | None, turn: _Turn) -> None:
        """Send a reply in its turn; where it cannot be encoded, another."""
        if turn.before is not None:
            await turn.before.wait()
        try:
            if reply is not None:
                await self._connection.send(reply)
        except Exception as error:  # noqa: BLE001 - perhaps of the user's codec
            apology = self._apology(error, request)
            if apology is not None:
                await self._connection.send(apology)
        turn.sent.set()

    def _leave(self) -> None:
        self._room.unpark_all()
        if not (self._admitted or self._placed):
            self._patience.end_work()

    def _apology(self, error: Exception, request: In | None) -> Out | None:
        """Make the reply to an error, or raise it."""
        on_error = self._policy.on_error
        if on_error is None or is_final(error, request, self._connection):
            raise error
        return on_error(error, request)
