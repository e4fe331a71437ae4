"""All that a requester was asked and has not answered, whatever connection it has.

Requests stand in line until an exchange (see ``_exchange.py``) sends them over a
connection; then they are in the window until it delivers their replies. Line and window
outlive the connection: who has to go back from the window into the line when it is lost
is decided by the requester that they belong to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar, final

import attrs
import trio

from trio_tcp._errors import ConnectionFault, ConnectionLost
from trio_tcp._kinds import check_function
from trio_tcp._requests._window import (
    ById,
    Correlate,
    InOrder,
    IsUnsolicited,
    Line,
    Request,
    Window,
)
from trio_tcp._validators import count, duration

__all__ = [
    "DEFAULT_MAX_IN_FLIGHT",
    "DEFAULT_MAX_UNSOLICITED",
    "DEFAULT_REPLY_TIMEOUT",
    "RequesterStatistics",
    "Requests",
    "Rules",
    "lost",
    "nowhere",
]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_MAX_IN_FLIGHT: Final = 100
"""The least that HTTP/2 recommends for concurrent streams (RFC 9113, 6.5.2)."""

DEFAULT_REPLY_TIMEOUT: Final = 60.0
"""Seconds; as long as `Timeouts.write` waits for a peer that takes nothing."""

DEFAULT_MAX_UNSOLICITED: Final = 1000
"""A burst of messages while the task that takes them has other things to do."""


@attrs.frozen(kw_only=True)
class RequesterStatistics:
    """What a requester has to do, and what it has done.

    Attributes:
        in_flight: requests that are sent and wait for their replies; also those that
            were cancelled meanwhile.
        waiting: requests in line, not sent yet.
        replies: that were given to those who asked.
        late_replies: to requests that were cancelled; dropped.
        retries: requests that were sent, or are to be sent, once more.
        unsolicited_dropped: messages for which ``unsolicited`` had no room.
    """

    in_flight: int
    waiting: int
    replies: int
    late_replies: int
    retries: int
    unsolicited_dropped: int


@attrs.frozen(kw_only=True)
class Rules(Generic[In, Out]):
    """How requests and replies belong together, and what is too much, or too long."""

    correlate: Correlate | None
    is_unsolicited: IsUnsolicited[In] | None
    max_in_flight: float = attrs.field(validator=count)
    max_unsolicited: float = attrs.field(validator=count)
    reply_timeout: float = attrs.field(validator=duration)

    def __attrs_post_init__(self) -> None:
        """Check both functions.

        Raises:
            ValueError: both say what is unsolicited.
            TypeError: one is no function.
        """
        for name in ("correlate", "is_unsolicited"):
            function = getattr(self, name)
            if function is not None:
                check_function(name, function)
        if self.correlate is not None and self.is_unsolicited is not None:
            raise ValueError(
                "with correlate=, a message is unsolicited if that returns None: "
                "leave out is_unsolicited="
            )


@final
class Requests(Generic[In, Out]):
    """The line, the window, and what comes unasked.

    Attributes:
        rules: what was asked for.
        line: not sent yet.
        window: in flight.
        unsolicited: the end of the channel from which unsolicited messages are taken.
        send_line: sends those in line, as far as there is room; nothing while there is
            no connection.
        refusal: makes what new requests raise; None while they are welcome.
        retries: see `RequesterStatistics`.
    """

    def __init__(self, rules: Rules[In, Out]) -> None:
        self.rules: Rules[In, Out] = rules
        self.line: Line[In, Out] = deque()
        self.window: Window[In, Out] = (
            InOrder[In, Out](rules.is_unsolicited)
            if rules.correlate is None
            else ById(rules.correlate)
        )
        send, receive = trio.open_memory_channel[In](rules.max_unsolicited)
        self._unsolicited = send
        self.unsolicited: trio.MemoryReceiveChannel[In] = receive
        self.send_line: Callable[[], None] = nowhere
        self.refusal: Callable[[], Exception] | None = None
        self.retries: int = 0
        self._replies = 0
        self._late_replies = 0
        self._unsolicited_dropped = 0

    async def ask(self, message: Out, *, is_repeatable: bool) -> In:
        """Send a request in its turn, and wait for the reply."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.refusal is not None:
            raise self.refusal()
        request = Request[In, Out](
            message, self.window.id_of(message), is_repeatable=is_repeatable
        )
        self.line.append(request)
        self.send_line()
        return await request.wait(self.line)

    def deliver(self, message: In) -> bool:
        """Give a message to the one it is for.

        Returns:
            False if nobody had asked for it.

        Raises:
            UnexpectedReplyError: nobody waits for it.
            Exception: what the user's function raises that looks at it.
        """
        request = self.window.take(message)
        if request is None:
            try:
                self._unsolicited.send_nowait(message)
            except (
                trio.WouldBlock,
                trio.BrokenResourceError,  # nobody wants them
                trio.ClosedResourceError,  # it came at the moment of `refuse`
            ):
                self._unsolicited_dropped += 1
            return False
        if request.is_cancelled:
            self._late_replies += 1
        else:
            self._replies += 1
            request.answer(message)
        return True

    def lose(self, fault: ConnectionFault) -> None:
        """Fail all that is in flight."""
        for request in self.window.take_all():
            request.fail(lost(fault, was_sent=True))

    def put_back(self, requests: Sequence[Request[In, Out]]) -> None:
        """Put requests at the head of the line, in their order, to be sent again."""
        for request in reversed(requests):
            request.is_sent = False
            self.line.appendleft(request)
        self.retries += len(requests)

    def refuse(self, failure: Callable[[], Exception]) -> None:
        """Send all away who are in line, and all who come from now on."""
        self.refusal = failure
        self.send_line = nowhere
        while self.line:
            self.line.popleft().fail(failure())
        self._unsolicited.close()

    def statistics(self) -> RequesterStatistics:
        """Return the counters as they are now."""
        return RequesterStatistics(
            in_flight=len(self.window),
            waiting=len(self.line),
            replies=self._replies,
            late_replies=self._late_replies,
            retries=self.retries,
            unsolicited_dropped=self._unsolicited_dropped,
        )


def nowhere() -> None:
    """There is no connection to send anything over."""


def lost(cause: Exception, *, was_sent: bool) -> ConnectionLost:
    """Make what one request raises whose connection is lost.

    Args:
        cause: how it ended.
        was_sent: the connection had accepted the request.
    """
    error = ConnectionLost(was_sent)
    error.__cause__ = cause
    if isinstance(cause, ConnectionFault):
        error.connection_id = cause.connection_id
    return error
