"""What happens to one client, and to its connection."""

from __future__ import annotations

import enum
from typing import Literal

import attrs

from trio_tcp._address import Address
from trio_tcp._events._event import Event

__all__ = [
    "BackpressureEnded",
    "BackpressureStarted",
    "CloseReason",
    "ConnectionAccepted",
    "ConnectionDrained",
    "ConnectionEnded",
    "ConnectionEvent",
    "ConnectionOpened",
    "ConnectionRejected",
    "ConnectionStatistics",
    "GarbageSkipped",
    "HandlerFailed",
    "HandshakeFailed",
    "MessageMalformed",
    "ProxyHeaderReceived",
    "TimedOut",
    "TlsEstablished",
]


class CloseReason(enum.Enum):
    """Why a connection ended."""

    PEER_CLOSED = "peer closed"
    """The peer closed between two messages."""
    TRUNCATED = "truncated"
    """The peer closed inside a message."""
    BROKEN = "reset"
    """The peer reset the connection, or the network gave it up."""
    PROTOCOL_ERROR = "protocol error"
    """The peer's bytes were not messages of the codec."""
    HANDLER_FAILED = "handler failed"
    """The handler of this connection raised an exception."""
    CLOSED = "closed here"
    """This side closed it: `aclose`, `abort`, the end of a handler or of a block."""
    TIMED_OUT = "timed out"
    """The peer was too slow: `PeerTooSlowError` says in what."""
    DRAINED = "drained"
    """The server drained: nothing was left to do, or the grace was over."""
    EVICTED = "evicted"
    """It held the most when the server's connections held too much together, or could
    not keep up with what it had subscribed to."""
    DETACHED = "detached"
    """This side took the stream out of the connection with `detach`."""


@attrs.frozen(kw_only=True)
class ConnectionStatistics:
    """The counters of one connection, at one moment.

    Attributes:
        messages_received: delivered by `receive`.
        messages_sent: accepted by `send`.
        bytes_received: read from the stream, whether delivered or not.
        bytes_sent: given to the stream.
        bytes_queued: accepted by `send`, but not yet given to the stream.
        bytes_skipped: garbage that a resynchronising codec skipped.
    """

    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    bytes_queued: int
    bytes_skipped: int


@attrs.frozen(kw_only=True)
class ConnectionEvent(Event):
    """The base of records about one client, and its connection.

    Attributes:
        id: `Connection.id`, unique within the run of Trio. A client has it from the
            moment it is accepted, also if it never becomes a connection: all its
            records have the same.
        label: what the user calls it: `Connection.label`. Empty before there is a
            connection.
        peer: the other end, where the stream has an address. Behind a proxy, that is
            the proxy until its header has been read, and then the client.
    """

    id: int
    label: str
    peer: Address | None

    @property
    def name(self) -> str:
        """The connection in a word or two, for people."""
        label = f" {self.label!r}" if self.label else ""
        return f"connection {self.id}{label} ({self.peer or 'no address'})"


@attrs.frozen(kw_only=True)
class ConnectionAccepted(ConnectionEvent):
    """A client has a place, and something comes before its connection: a handshake.

    Where nothing does, there is only `ConnectionOpened`, at the same moment. Otherwise
    one of these follows: `ConnectionOpened`, `HandshakeFailed`, `ConnectionRejected`;
    or `ConnectionDrained`, if the server drains before. (If a server is cancelled, its
    `ServerStopped` is the end of them all.)
    """


@attrs.frozen(kw_only=True)
class ProxyHeaderReceived(ConnectionEvent):
    """A proxy has said for whom it speaks: ``peer`` is the client now.

    Attributes:
        proxy: the address of the proxy itself.
        seconds: how long it took.
    """

    proxy: Address | None
    seconds: float


@attrs.frozen(kw_only=True)
class TlsEstablished(ConnectionEvent):
    """The TLS handshake has succeeded: a server's, a client's, or `start_tls`.

    Attributes:
        version: of the protocol; this and the next three as in `TlsInfo`.
        cipher: the suite's name.
        alpn: the protocol that ALPN chose, if it chose one.
        server_name: which server the client has asked for, if it said so.
        seconds: how long it took.
    """

    version: str
    cipher: str
    alpn: str | None
    server_name: str | None
    seconds: float


@attrs.frozen(kw_only=True)
class HandshakeFailed(ConnectionEvent):
    """A client did not get as far as a connection: its PROXY header or TLS failed.

    Of a server's clients. Where this side connects, the exception tells.

    Attributes:
        stage: ``"PROXY header"`` or ``"TLS"``.
        error: what went wrong.
        seconds: how long it was at this stage.
    """

    stage: str
    error: Exception
    seconds: float


@attrs.frozen(kw_only=True)
class ConnectionRejected(ConnectionEvent):
    """A client was refused before it became a connection.

    Attributes:
        limit: the field of `Limits` that it would have exceeded, or
            ``"proxy_protocol"``: it is no trusted proxy.
    """

    limit: str


@attrs.frozen(kw_only=True)
class ConnectionOpened(ConnectionEvent):
    """A connection is there; its handler starts."""


@attrs.frozen(kw_only=True)
class MessageMalformed(ConnectionEvent):
    """A whole message with bad content arrived; `receive` raised ``error``.

    Attributes:
        error: what was wrong with it.
        number: which one it is on this connection, counted from 1. (The default log
            shows the first one only, at INFO: a peer could send millions.)
    """

    error: Exception
    number: int


@attrs.frozen(kw_only=True)
class GarbageSkipped(ConnectionEvent):
    """A resynchronising codec skipped bytes that belong to no message.

    Attributes:
        count: how many, since the last such record.
        number: which record of the kind this is on this connection, from 1, as in
            `MessageMalformed`.
    """

    count: int
    number: int


@attrs.frozen(kw_only=True)
class HandlerFailed(ConnectionEvent):
    """A handler raised an exception that is not its own peer's doing.

    It comes after `ConnectionEnded` where the handler had closed or detached first.

    Attributes:
        error: the exception, with its traceback.
    """

    error: BaseException


@attrs.frozen(kw_only=True)
class TimedOut(ConnectionEvent):
    """A peer, or a client in its handshake, took longer than it may.

    Except after ``"linger"``, the connection ends with it.

    Attributes:
        timeout: which: a field of `Timeouts`; or ``"proxy_protocol"``, ``"heartbeat"``
            or ``"reply"``, as in `PeerTooSlowError`.
        seconds: how long it was given.
    """

    timeout: str
    seconds: float


@attrs.frozen(kw_only=True)
class BackpressureStarted(ConnectionEvent):
    """A peer reads more slowly than it is written to: a sender has to wait.

    Reported once, not for each sender, until `BackpressureEnded`.

    Attributes:
        bytes_queued: accepted by `send`, but not yet given to the stream.
    """

    bytes_queued: int


@attrs.frozen(kw_only=True)
class BackpressureEnded(ConnectionEvent):
    """The stream has taken all that was queued, or nothing can be sent any more.

    Attributes:
        seconds: since `BackpressureStarted`.
    """

    seconds: float


@attrs.frozen(kw_only=True)
class ConnectionDrained(ConnectionEvent):
    """What the drain of its server did to a client. One may see several of these.

    Attributes:
        stage: ``"handshake"``: it had not finished its handshake, and is closed.
            ``"told"``: there was nothing left to do, and `receive` has raised
            `Drained`. ``"cancelled"``: the grace is over, and its handler is cancelled.
            ``"aborted"``: it did not end then either, and is reset.
    """

    stage: Literal["handshake", "told", "cancelled", "aborted"]


@attrs.frozen(kw_only=True)
class ConnectionEnded(ConnectionEvent):
    """A connection is closed, and its place is free.

    Attributes:
        reason: why it ended; the first cause counts.
        error: the exception that goes with the reason, if there is one.
        statistics: its final counters.
        seconds: how long it lived.
    """

    reason: CloseReason
    error: BaseException | None
    statistics: ConnectionStatistics
    seconds: float
