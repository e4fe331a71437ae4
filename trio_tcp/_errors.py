"""Every exception of this package, as one tree.

The tree answers two questions. *Whose fault was it?* `EncodeError` is yours: the
message cannot be sent, and nothing was. `ConnectionFault` says what became of one
connection: what its peer or the network did to it, or, as `ConnectionClosedError`, that
this side has closed it. *Can it go on?* Only after `MalformedMessageError`; every other
fault is the end of receiving.

Where Trio has a word for it, the error also inherits from Trio's class, so that code
written for any `trio.abc.Channel` handles it without knowing this package. The
arguments of an error are its numbers, each also an attribute; ``str()`` makes the
sentence.

A sentence quotes little of what a peer has sent, and escapes it: the bytes at which a
prefix or header went wrong, up to 100 characters of an id, or of what the user's own
decoder says of a message. The rest is in the attributes, and in ``__cause__``.
"""

from __future__ import annotations

import os
from collections.abc import Hashable

import trio

from trio_tcp._printable import MAX_QUOTED_CHARS, shortened

__all__ = [
    "CloseNotifyMissingError",
    "ConnectError",
    "ConnectionBroken",
    "ConnectionClosedError",
    "ConnectionFault",
    "ConnectionLost",
    "Drained",
    "EncodeError",
    "EvictedError",
    "FrameTooLargeError",
    "FramingError",
    "HalfCloseUnsupportedError",
    "HubClosedError",
    "InvalidFrameError",
    "MalformedMessageError",
    "MessageTooLargeError",
    "PeerClosed",
    "PeerTooSlowError",
    "PoolClosedError",
    "RequestIdInUseError",
    "SlowSubscriberError",
    "TlsHandshakeError",
    "TrioTcpError",
    "TruncatedError",
    "UnexpectedReplyError",
    "WorkersFailedError",
]


class TrioTcpError(Exception):
    """The root: every exception that this package defines is one of these."""


# Your side -----------------------------------------------------------------------


class EncodeError(TrioTcpError, ValueError):
    """This message cannot be sent with this codec. Nothing of it was sent.

    The connection is unharmed; the next `send` goes on.
    """


class MessageTooLargeError(EncodeError):
    """The message is larger than its codec allows.

    Attributes:
        size: of the message, in bytes.
        limit: that the codec allows, in bytes.
        option: the codec's option that sets the limit.
    """

    def __init__(self, size: int, limit: int, option: str) -> None:
        super().__init__(size, limit, option)
        self.size = size
        self.limit = limit
        self.option = option

    def __str__(self) -> str:
        return (
            f"this message has {self.size} bytes, more than {self.option} allows "
            f"({self.limit}); nothing was sent"
        )


class RequestIdInUseError(TrioTcpError, ValueError):
    """A request with this id waits for its reply already, so this one was not sent.

    A request that was cancelled keeps its id, too, until its late reply has come.

    Attributes:
        id: that both requests have.
    """

    def __init__(self, id: Hashable) -> None:  # noqa: A002 - what it is called
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        quoted = shortened(repr(self.id), MAX_QUOTED_CHARS)
        return (
            f"a request with the id {quoted} waits for its reply already; "
            "this one was not sent"
        )


class HalfCloseUnsupportedError(TrioTcpError, RuntimeError):
    """`send_eof` on a stream that cannot be closed in one direction alone."""


class ConnectError(TrioTcpError, OSError):
    """No connection could be made.

    Attributes:
        target: what was to be reached, as text.
        errno: the system's number, where all attempts agree on one; else None.
        attempts: one exception per address that was tried.
    """

    def __init__(self, target: str, attempts: tuple[Exception, ...]) -> None:
        numbers = {getattr(attempt, "errno", None) for attempt in attempts}
        number = numbers.pop() if len(numbers) == 1 else None
        reasons = "; ".join(dict.fromkeys(map(str, attempts))) or "no address to try"
        # OSError takes its errno from two arguments; with one it leaves None.
        super().__init__(target, attempts)
        self.errno = number
        self.strerror: str | None = reasons
        self.target = target
        self.attempts = attempts

    def __str__(self) -> str:
        return f"could not connect to {self.target}: {self.strerror}"


class PoolClosedError(TrioTcpError, trio.ClosedResourceError):
    """The block of `open_pool` is over, and so are the pool's connections."""


class WorkersFailedError(TrioTcpError, RuntimeError):
    """The processes of a service do not start, or die again and again."""


# The other side, and the network between -------------------------------------------


class ConnectionFault(TrioTcpError):
    """What became of one connection, as its `receive`, `send` and the others tell.

    Attributes:
        connection_id: `Connection.id` of the connection that it happened to. A server
            uses it to tell its own client's doing from that of another connection
            which the same handler uses.
    """

    connection_id: int | None = None


class MalformedMessageError(ConnectionFault):
    """A whole message arrived, but its content is bad (checksum, JSON, type).

    Raised by `receive`, which can be called again: the next message follows.
    The exception of the function that refused the content is its ``__cause__``.
    """


class FramingError(ConnectionFault, trio.BrokenResourceError):
    """The peer's bytes are not messages of this codec.

    Where the next one would begin cannot be known: nothing more can be received. What
    was whole has been received before.
    """


class FrameTooLargeError(FramingError):
    """The peer announces, or sends, a message larger than the codec allows.

    Attributes:
        size: of the message in bytes, or None where it is only known to be larger.
        limit: that the codec allows, in bytes.
        option: the codec's option that sets the limit.
    """

    def __init__(self, size: int | None, limit: int, option: str) -> None:
        super().__init__(size, limit, option)
        self.size = size
        self.limit = limit
        self.option = option

    def __str__(self) -> str:
        size = "an unfinished message" if self.size is None else f"{self.size} bytes"
        return f"the peer sends {size}, more than {self.option} allows ({self.limit})"


class InvalidFrameError(FramingError):
    """The peer's bytes break a rule of the framing itself (a bad prefix, no magic)."""


class TruncatedError(FramingError):
    """The stream ended in the middle of a message.

    Attributes:
        received: how many bytes of the unfinished message had arrived.
    """

    def __init__(self, received: int) -> None:
        super().__init__(received)
        self.received = received

    def __str__(self) -> str:
        return f"the peer closed {self.received} bytes into an unfinished message"


class CloseNotifyMissingError(TruncatedError):
    """The stream ended without TLS's own end, and so perhaps too early.

    Also where it ended between two messages: ``received`` is 0.

    Anybody between the two peers can end a TCP connection. Only the ``close_notify``
    alert (RFC 8446, 6.1) proves that the peer itself has ended it. Peers that are known
    to leave it out can be allowed to: `Tls.allow_ragged_eof`.
    """

    def __str__(self) -> str:
        return (
            "the peer closed without TLS's close_notify: what it sent may be cut short"
        )


class TlsHandshakeError(ConnectionFault, trio.BrokenResourceError):
    """TLS could not be agreed on with the peer. The `ssl.SSLError` is the cause."""


class PeerClosed(ConnectionFault, trio.EndOfChannel):
    """The peer has sent everything, and closed between two messages: the clean end."""


class Drained(ConnectionFault, trio.EndOfChannel):
    """The server ends in order, and there was no message left to wait for.

    Raised by `receive` between two messages, so that ``async for`` ends there as it
    does when the peer has closed. Sending still works: the place for a goodbye.
    """


class PeerTooSlowError(ConnectionFault, trio.TooSlowError):
    """The peer took longer than one of the connection's `Timeouts` allows.

    Attributes:
        timeout: the name of the timeout: a field of `Timeouts`; ``"proxy_protocol"``
            for `ProxyProtocol.timeout`; ``"heartbeat"`` for that of `heartbeat`;
            ``"reply"`` for a requester's ``reply_timeout``.
        seconds: how long the peer was given.
    """

    def __init__(self, timeout: str, seconds: float) -> None:
        super().__init__(timeout, seconds)
        self.timeout = timeout
        self.seconds = seconds

    def __str__(self) -> str:
        what = _WAITED_FOR.get(self.timeout, "nothing happened")
        option = _NOT_OF_TIMEOUTS.get(self.timeout, f"timeouts.{self.timeout}")
        return f"{what} for {self.seconds:g} s ({option})"


_NOT_OF_TIMEOUTS = {
    "proxy_protocol": "ProxyProtocol.timeout",
    "heartbeat": "within of heartbeat",
    "reply": "reply_timeout",
}

_WAITED_FOR = {
    "heartbeat": "the peer gave no sign of life",
    "proxy_protocol": "the PROXY header was not finished",
    "handshake": "the TLS handshake was not finished",
    "first_message": "the peer began no message",
    "idle": "neither side sent anything",
    "message": "the peer did not finish its message",
    "write": "the peer took nothing of what was sent",
    "lifetime": "the connection was open",
    "reply": "no reply came to any request",
}


class SlowSubscriberError(ConnectionFault, trio.TooSlowError):
    """This subscriber of a `Hub` had no room left, and had chosen to end then.

    ``when_full="disconnect"`` says so. Where the subscriber is a connection, that is
    broken, because its peer reads too slowly.
    """

    def __str__(self) -> str:
        return "this subscriber was too slow: more was published than it had room for"


class HubClosedError(TrioTcpError, trio.ClosedResourceError):
    """The `Hub` has been closed on this side."""

    def __str__(self) -> str:
        return "this hub is closed"


class EvictedError(ConnectionFault, trio.BrokenResourceError):
    """This connection held the most when all together held too much.

    Attributes:
        held: bytes that it held, received and to be sent.
        limit: for all connections of the server: `Limits.max_buffered_bytes`.
    """

    def __init__(self, held: int, limit: float) -> None:
        super().__init__(held, limit)
        self.held = held
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"this connection held {self.held} bytes, the most of all, when the "
            f"server's max_buffered_bytes ({self.limit:.0f}) was exceeded"
        )


class ConnectionBroken(ConnectionFault, trio.BrokenResourceError):
    """The peer reset the connection, or the network gave it up.

    Attributes:
        errno: the system's number (``ECONNRESET``, ``EPIPE``, ``ETIMEDOUT``, …), or
            None where the stream gave none.
    """

    def __init__(self, errno: int | None = None) -> None:
        super().__init__(errno)
        self.errno = errno

    def __str__(self) -> str:
        if self.errno is not None:
            return f"the connection is broken: {os.strerror(self.errno)}"
        reason = "" if self.__cause__ is None else f": {self.__cause__}"
        return f"the connection is broken{reason}"


class UnexpectedReplyError(ConnectionFault, trio.BrokenResourceError):
    """The peer has sent a reply that no request waits for.

    Which reply belongs to which request is not certain any more, so the connection is
    broken.

    Attributes:
        id: of the reply, where replies have one; else None.
    """

    def __init__(self, id: Hashable | None = None) -> None:  # noqa: A002 - as above
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        # The peer chose it: it may be as long as a message can be.
        quoted = shortened(repr(self.id), MAX_QUOTED_CHARS)
        which = "" if self.id is None else f" with the id {quoted}"
        return f"the peer sent a reply{which} that no request waits for"


class ConnectionLost(ConnectionFault, trio.BrokenResourceError):
    """The connection ended before the reply to this request came.

    The ``__cause__`` says how it ended. Its ``connection_id`` is None if the request
    had no connection yet.

    Attributes:
        may_have_been_processed: False means that the request was not sent, and can be
            made again without harm. True means that nobody can know.
    """

    def __init__(self, may_have_been_processed: bool) -> None:
        super().__init__(may_have_been_processed)
        self.may_have_been_processed = may_have_been_processed

    def __str__(self) -> str:
        cause = "" if self.__cause__ is None else f": {self.__cause__}"
        outcome = (
            "was sent, and may have been processed"
            if self.may_have_been_processed
            else "was not sent"
        )
        return f"the connection ended before a reply came{cause}; the request {outcome}"


class ConnectionClosedError(ConnectionFault, trio.ClosedResourceError):
    """This side has closed the connection (or detached its stream) already."""
