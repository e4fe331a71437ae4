"""What happened, as frozen records; and where they go.

The package never logs in passing. It makes a record of each thing worth knowing and
hands it to the `Observer`; the default one, `trio_tcp.log_events`, writes to the
``trio_tcp`` logger. Another observer can count, trace or test instead.
"""

from __future__ import annotations

import enum
import logging
from typing import Protocol

import attrs

from trio_tcp._address import Address

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "CloseReason",
    "ConnectionEnded",
    "ConnectionEvent",
    "ConnectionOpened",
    "ConnectionRejected",
    "ConnectionStatistics",
    "DrainReport",
    "DrainStarted",
    "Event",
    "GarbageSkipped",
    "HandlerFailed",
    "HandshakeFailed",
    "LimitReached",
    "MessageMalformed",
    "Observer",
    "ServerResumed",
    "ServerStarted",
    "ServerStopped",
    "ServerSuspended",
    "notify",
]

LOGGER = logging.getLogger("trio_tcp")


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
class Event:
    """The base of all records. New kinds, and new fields, may come."""


@attrs.frozen(kw_only=True)
class ServerStarted(Event):
    """A server listens. Clients can connect from now on."""

    addresses: tuple[Address, ...]


@attrs.frozen(kw_only=True)
class ServerStopped(Event):
    """A server has ended, and all its connections with it."""

    addresses: tuple[Address, ...]
    accepted: int


@attrs.frozen(kw_only=True)
class AcceptPaused(Event):
    """The system is out of descriptors or memory; accepting is tried again later.

    Reported once, not for each attempt, until `AcceptResumed`.
    """

    error: OSError
    retry_seconds: float


@attrs.frozen(kw_only=True)
class AcceptResumed(Event):
    """Accepting works again, after an `AcceptPaused`."""

    paused_seconds: float


@attrs.frozen(kw_only=True)
class LimitReached(Event):
    """A limit of the server keeps clients out, or makes them wait.

    Reported once, not for each client, until it has not been met for a while.

    Attributes:
        limit: its name: a field of `Limits`.
        value: what it is set to.
    """

    limit: str
    value: float


@attrs.frozen(kw_only=True)
class ConnectionRejected(Event):
    """A client was refused before it became a connection.

    Attributes:
        peer: its address.
        limit: the field of `Limits` that it would have exceeded, or
            ``"proxy_protocol"``: it is no trusted proxy.
    """

    peer: Address | None
    limit: str


@attrs.frozen(kw_only=True)
class HandshakeFailed(Event):
    """A client did not get as far as a connection: its PROXY header or TLS failed.

    Attributes:
        peer: its address.
        stage: ``"PROXY header"`` or ``"TLS"``.
        error: what went wrong.
    """

    peer: Address | None
    stage: str
    error: Exception


@attrs.frozen(kw_only=True)
class ServerSuspended(Event):
    """A server accepts nobody for now: `Server.suspend`."""


@attrs.frozen(kw_only=True)
class ServerResumed(Event):
    """A server accepts again: `Server.resume`."""


@attrs.frozen(kw_only=True)
class DrainStarted(Event):
    """A server ends in order: it has stopped accepting.

    Attributes:
        connections: open at this moment.
        grace: seconds until those that are left are cancelled.
    """

    connections: int
    grace: float


@attrs.frozen(kw_only=True)
class DrainReport(Event):
    """How a drain went, connection by connection. Also what `Server.drain` returns.

    Attributes:
        finished: ended by themselves, or were told that there is nothing left to do.
        cancelled: were still at work when the grace was over; their handlers were
            cancelled, and what they had sent was delivered.
        aborted: did not end then either; their connections were reset.
        handshakes: had not finished their handshake when the drain began, and were
            closed.
        seconds: how long it took.
    """

    finished: int
    cancelled: int
    aborted: int
    handshakes: int
    seconds: float


@attrs.frozen(kw_only=True)
class ConnectionEvent(Event):
    """The base of records about one connection.

    Attributes:
        id: `Connection.id`, unique within the process.
        label: what the user calls it: `Connection.label`.
        peer: the other end, where the stream has an address.
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
class ConnectionOpened(ConnectionEvent):
    """A connection is there; its handler starts."""


@attrs.frozen(kw_only=True)
class MessageMalformed(ConnectionEvent):
    """A whole message with bad content arrived; `receive` raised ``error``."""

    error: Exception


@attrs.frozen(kw_only=True)
class GarbageSkipped(ConnectionEvent):
    """A resynchronising codec skipped bytes that belong to no message.

    Attributes:
        count: how many, since the last such record.
    """

    count: int


@attrs.frozen(kw_only=True)
class HandlerFailed(ConnectionEvent):
    """A handler raised an exception that is not its own peer's doing."""

    error: BaseException


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


class Observer(Protocol):
    """Receives each record as it happens. Any function of one argument is one.

    It is called in the middle of things: it must be quick, and must not await. One that
    raises is reported to the log and otherwise ignored.
    """

    def __call__(self, event: Event, /) -> None:
        """Take one record."""
        ...


def notify(observer: Observer, event: Event) -> None:
    """Hand a record to an observer, whose failure must not become the server's."""
    try:
        observer(event)
    except Exception:
        LOGGER.exception("the observer %r failed on %r", observer, event)
