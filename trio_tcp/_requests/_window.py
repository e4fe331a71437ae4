"""Requests that wait for their replies, and whose reply a message is.

A `Request` is the slot in which one task waits. It is in line until it is sent; then it
is in flight, in a *window*, until its reply comes. A request that was cancelled in line
was never there. One that was cancelled in flight stays, with nobody waiting in it: its
reply will come all the same, and must not be taken for another's.

There are two windows. `InOrder` knows that replies come in the order of the requests.
`ById` finds an id in both. Nothing here waits for the network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, final

import trio

from trio_tcp._errors import RequestIdInUseError, UnexpectedReplyError

__all__ = ["ById", "Correlate", "InOrder", "IsUnsolicited", "Line", "Request", "Window"]

In = TypeVar("In")
Out = TypeVar("Out")

# Requests and replies may have different types. Type checkers cannot find two of them
# in a union of both.
Correlate: TypeAlias = Callable[[Any], Hashable | None]
"""Finds the id in a request, and in a reply. None: nobody has asked for this."""

IsUnsolicited: TypeAlias = Callable[[In], bool]
"""Says of a message whether nobody has asked for it."""


@final
class Request(Generic[In, Out]):
    """One request, and the task that waits for its reply.

    Attributes:
        message: what is sent.
        data: the same as bytes, once it was encoded for the connection at hand.
        id: of both request and reply; None in order.
        is_repeatable: it does no harm if the peer gets it twice.
        is_sent: it is in flight, or was.
        is_cancelled: nobody waits for its reply any more.
    """

    __slots__ = (
        "_failure",
        "_reply",
        "_task",
        "data",
        "id",
        "is_cancelled",
        "is_repeatable",
        "is_sent",
        "message",
    )

    def __init__(
        self, message: Out, request_id: Hashable | None, *, is_repeatable: bool
    ) -> None:
        self.message: Out = message
        self.data: bytes | None = None
        self.id: Hashable | None = request_id
        self.is_repeatable: bool = is_repeatable
        self.is_sent: bool = False
        self.is_cancelled: bool = False
        self._task: trio.lowlevel.Task | None = None  # while it waits
        self._reply: tuple[In] | None = None
        self._failure: Exception | None = None

    async def wait(self, line: Line[In, Out]) -> In:
        """Wait for the reply, and leave the line if that is cancelled there."""

        def cancel(_: object) -> trio.lowlevel.Abort:
            self.is_cancelled = True
            self._task = None
            if not self.is_sent:
                line.remove(self)
            return trio.lowlevel.Abort.SUCCEEDED

        if self._failure is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(cancel)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure  # its traceback has this frame: a cycle
        assert self._reply is not None
        return self._reply[0]

    def answer(self, reply: In) -> None:
        """Give the reply to the task that waits, if one does."""
        if self._task is not None:
            self._reply = (reply,)
            self._wake(self._task)

    def fail(self, failure: Exception) -> None:
        """Have the task raise this; it must not be another's, too."""
        self._failure = failure
        if self._task is not None:
            self._wake(self._task)

    def _wake(self, task: trio.lowlevel.Task) -> None:
        self._task = None
        trio.lowlevel.reschedule(task)


Line: TypeAlias = deque[Request[In, Out]]
"""Requests that are not sent yet, the first come first."""


class Window(Protocol[In, Out]):
    """The requests in flight over one connection.

    It is true if there are any; ``len(window)`` counts them.
    """

    def __len__(self) -> int:
        """Count the requests in flight, those that were cancelled included."""
        ...

    def id_of(self, message: Out, /) -> Hashable | None:
        """Find the id of a request.

        Raises:
            ValueError: it has none, and needs one.
        """
        ...

    def check(self, request: Request[In, Out]) -> None:
        """See that the request can be told from those in flight.

        Raises:
            RequestIdInUseError: it cannot.
        """
        ...

    def add(self, request: Request[In, Out]) -> None:
        """Note that a request is sent."""
        ...

    def take(self, message: In) -> Request[In, Out] | None:
        """Take the request out that this is the reply to; None: nobody has asked.

        Raises:
            UnexpectedReplyError: there is none.
        """
        ...

    def take_malformed(self) -> Request[In, Out] | None:
        """Take the request out whose reply makes no sense; None if none is certain."""
        ...

    def take_all(self) -> list[Request[In, Out]]:
        """Take all out, the oldest first."""
        ...


@final
class InOrder(Generic[In, Out]):
    """Requests whose replies come in the same order."""

    __slots__ = ("_is_unsolicited", "_requests")

    def __init__(self, is_unsolicited: IsUnsolicited[In] | None) -> None:
        self._requests: deque[Request[In, Out]] = deque()
        self._is_unsolicited = is_unsolicited

    def __len__(self) -> int:
        return len(self._requests)

    def id_of(self, _message: Out, /) -> None:
        """Return None: nothing needs to be told from anything."""

    def check(self, request: Request[In, Out]) -> None:
        """Accept any."""

    def add(self, request: Request[In, Out]) -> None:
        """Expect its reply after all others."""
        self._requests.append(request)

    def take(self, message: In) -> Request[In, Out] | None:
        """Take the oldest."""
        if self._is_unsolicited is not None and self._is_unsolicited(message):
            return None
        if not self._requests:
            raise UnexpectedReplyError
        return self._requests.popleft()

    def take_malformed(self) -> Request[In, Out] | None:
        """Take the oldest, unless this may be no reply at all."""
        if self._is_unsolicited is None and self._requests:
            return self._requests.popleft()
        return None

    def take_all(self) -> list[Request[In, Out]]:
        """Take all, the oldest first."""
        requests = list(self._requests)
        self._requests.clear()
        return requests


@final
class ById(Generic[In, Out]):
    """Requests whose replies have their ids, and come in any order."""

    __slots__ = ("_correlate", "_requests")

    def __init__(self, correlate: Correlate) -> None:
        self._requests: dict[Hashable, Request[In, Out]] = {}
        self._correlate = correlate

    def __len__(self) -> int:
        return len(self._requests)

    def id_of(self, message: Out, /) -> Hashable:
        """Find the id."""
        found = self._correlate(message)
        if found is None:
            raise ValueError(f"correlate() finds no id in this request: {message!r}")
        return found

    def check(self, request: Request[In, Out]) -> None:
        """Refuse an id that is in flight."""
        if request.id in self._requests:
            raise RequestIdInUseError(request.id)

    def add(self, request: Request[In, Out]) -> None:
        """Expect a reply with this id."""
        self._requests[request.id] = request

    def take(self, message: In) -> Request[In, Out] | None:
        """Take the one with this id."""
        found = self._correlate(message)
        if found is None:
            return None
        request = self._requests.pop(found, None)
        if request is None:
            raise UnexpectedReplyError(found)
        return request

    def take_malformed(self) -> None:
        """Take none: what makes no sense has no id."""

    def take_all(self) -> list[Request[In, Out]]:
        """Take all, the oldest first."""
        requests = list(self._requests.values())
        self._requests.clear()
        return requests
