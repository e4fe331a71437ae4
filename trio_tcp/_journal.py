"""Who a connection is and why it ended: what its parts report, and to whom."""

from __future__ import annotations

import copy
import itertools
import ssl
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar, final

import trio

from trio_tcp._address import Address
from trio_tcp._errors import (
    ConnectionBroken,
    ConnectionClosedError,
    ConnectionFault,
    EvictedError,
    FramingError,
    MalformedMessageError,
    PeerTooSlowError,
    SlowSubscriberError,
    TlsHandshakeError,
    TruncatedError,
    UnexpectedReplyError,
)
from trio_tcp._events import (
    BackpressureEnded,
    BackpressureStarted,
    CloseReason,
    ConnectionDrained,
    ConnectionEnded,
    ConnectionOpened,
    ConnectionStatistics,
    GarbageSkipped,
    HandlerFailed,
    MessageMalformed,
    Observer,
    TimedOut,
    notify,
)
from trio_tcp._handshake import tls_established
from trio_tcp._transport import TlsInfo

__all__ = ["Journal", "next_id"]

FaultT = TypeVar("FaultT", bound=ConnectionFault)

_ids: trio.lowlevel.RunVar[Iterator[int]] = trio.lowlevel.RunVar("trio_tcp.ids")


def next_id() -> int:
    """Return the number of the next client or connection.

    They are counted anew in each run, so that a run that is repeated repeats.
    """
    try:
        ids = _ids.get()
    except LookupError:
        ids = itertools.count(1)
        _ids.set(ids)
    return next(ids)


@final
class Journal:
    """The identity of one connection, and the causes of its end.

    Attributes:
        id: unique within the run of Trio.
        opened_at: when, on Trio's clock.
        label: the user's name for it.
        peer: the address of the other end, if it has one.
        reason: why the connection ended; None before.
        error: the exception that goes with it.
        is_broken: the stream is broken: `broken_error` is all that calls raise now.
    """

    __slots__ = (
        "_broken",
        "_congested_at",
        "_garbage",
        "_malformed",
        "_now",
        "_observer",
        "error",
        "id",
        "label",
        "opened_at",
        "peer",
        "reason",
    )

    def __init__(
        self,
        id: int,  # noqa: A002 - what it is called
        peer: Address | None,
        observer: Observer,
        now: Callable[[], float],
    ) -> None:
        self.id = id
        self.label = ""
        self.peer = peer
        self.reason: CloseReason | None = None
        self.error: BaseException | None = None
        self._broken: Exception | None = None
        self._malformed = 0
        self._garbage = 0
        self._observer = observer
        self._now = now
        self.opened_at = now()
        self._congested_at: float | None = None

    def end(self, reason: CloseReason, error: BaseException | None = None) -> None:
        """Note why the connection ends. The first cause is kept.

        Only a clean end by the peer may turn out worse: the handler can still fail.
        """
        if reason is CloseReason.HANDLER_FAILED and error is not None:
            self.report_failed(error)
        elif reason is CloseReason.TIMED_OUT and isinstance(error, PeerTooSlowError):
            self.report_timed_out(error.timeout, error.seconds)
        clean = self.reason is CloseReason.PEER_CLOSED
        if self.reason is None or (clean and reason is not CloseReason.CLOSED):
            self.reason, self.error = reason, error

    # Faults, each with the connection's number

    def mine(self, error: FaultT) -> FaultT:
        """Mark an exception as this connection's."""
        error.connection_id = self.id
        return error

    @property
    def is_broken(self) -> bool:
        """Whether the stream is broken."""
        return self._broken is not None

    def break_with(self, error: Exception) -> ConnectionFault:
        """Note that the stream is broken, and by what; return what to raise."""
        if self._broken is None:
            self._broken = error
            self.end(_reason_of(error), self.broken_error())
        return self.broken_error()

    def broken_error(self) -> ConnectionFault:
        """Return what every call on a broken connection raises; a new one each time."""
        cause = self._broken
        if isinstance(cause, ConnectionFault):
            again = self.mine(copy.copy(cause))
            again.__cause__ = cause.__cause__
            return again
        error = self.mine(ConnectionBroken(_errno_of(cause)))
        error.__cause__ = cause
        return error

    def check_whole(self) -> None:
        """Raise what a call on a broken connection raises, if this is one."""
        if self.is_broken:
            raise self.broken_error()

    def closed_error(self) -> ConnectionClosedError:
        """Return what a call on a closed connection raises."""
        return self.mine(ConnectionClosedError("this connection is closed on our side"))

    def lose_framing(self, error: FramingError) -> FramingError:
        """Note that no more messages can be found in what the peer sends."""
        truncated = isinstance(error, TruncatedError)
        reason = CloseReason.TRUNCATED if truncated else CloseReason.PROTOCOL_ERROR
        self.end(reason, error)
        return self.mine(error)

    def forget_frames(self) -> None:
        """Keep why it ended, but not the frames that the errors came through.

        They hold the connection, and all that its handler had in hand. That would be a
        cycle, and megabytes could wait in it until the collector comes. A handler's own
        error needs its traceback, and is left to the observer.
        """
        if self._broken is not None:
            _strip(self._broken)
        if isinstance(self.error, ConnectionFault):
            _strip(self.error)
        else:
            self.error = None

    # Events

    def report_failed(self, error: BaseException) -> None:
        """The handler has raised."""
        event = HandlerFailed(id=self.id, label=self.label, peer=self.peer, error=error)
        notify(self._observer, event)

    def report_opened(self) -> None:
        """The connection is there."""
        event = ConnectionOpened(id=self.id, label=self.label, peer=self.peer)
        notify(self._observer, event)

    def report_malformed(self, error: MalformedMessageError) -> MalformedMessageError:
        """A message had bad content."""
        self._malformed += 1
        event = MessageMalformed(
            id=self.id,
            label=self.label,
            peer=self.peer,
            error=error,
            number=self._malformed,
        )
        notify(self._observer, event)
        return self.mine(error)

    def report_garbage(self, count: int) -> None:
        """A codec skipped bytes."""
        self._garbage += 1
        event = GarbageSkipped(
            id=self.id,
            label=self.label,
            peer=self.peer,
            count=count,
            number=self._garbage,
        )
        notify(self._observer, event)

    def report_tls(self, info: TlsInfo, seconds: float) -> None:
        """The connection speaks TLS from now on."""
        event = tls_established(self.id, self.label, self.peer, info, seconds)
        notify(self._observer, event)

    def report_timed_out(self, timeout: str, seconds: float) -> None:
        """The peer took too long."""
        event = TimedOut(
            id=self.id,
            label=self.label,
            peer=self.peer,
            timeout=timeout,
            seconds=seconds,
        )
        notify(self._observer, event)

    def report_congested(self, bytes_queued: int) -> None:
        """A sender has to wait."""
        if self._congested_at is None:
            self._congested_at = self._now()
            event = BackpressureStarted(
                id=self.id, label=self.label, peer=self.peer, bytes_queued=bytes_queued
            )
            notify(self._observer, event)

    def report_relieved(self) -> None:
        """Nobody has to wait to send any more, if somebody had to."""
        if self._congested_at is not None:
            seconds, self._congested_at = self._now() - self._congested_at, None
            event = BackpressureEnded(
                id=self.id, label=self.label, peer=self.peer, seconds=seconds
            )
            notify(self._observer, event)

    def drain(self, stage: Literal["told", "cancelled", "aborted"]) -> None:
        """Note that the drain of the server does this to the connection."""
        was_told = stage == "told" and self.reason is CloseReason.DRAINED
        self.end(CloseReason.DRAINED)
        if not was_told:
            event = ConnectionDrained(
                id=self.id, label=self.label, peer=self.peer, stage=stage
            )
            notify(self._observer, event)

    def report_ended(self, statistics: ConnectionStatistics) -> None:
        """The connection is closed, for the reason that was noted."""
        event = ConnectionEnded(
            id=self.id,
            label=self.label,
            peer=self.peer,
            reason=self.reason or CloseReason.CLOSED,
            error=self.error,
            statistics=statistics,
            seconds=self._now() - self.opened_at,
        )
        notify(self._observer, event)


def _errno_of(cause: Exception | None) -> int | None:
    """Return the system's number for what has broken a stream, if it has one."""
    error = cause and (cause.__cause__ or cause)
    # OpenSSL's errors are OSErrors, but their numbers are its own.
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return error.errno
    return None


def _strip(error: BaseException) -> None:
    """Take the tracebacks off an error, and off those that it came from."""
    stripped: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        origin = left.pop()
        # Most come twice, as cause and as context; and nothing forbids a circle.
        if origin is not None and id(origin) not in stripped:
            stripped.add(id(origin))
            origin.__traceback__ = None
            left += (origin.__cause__, origin.__context__)


def _reason_of(error: Exception) -> CloseReason:
    """Say why a connection ends that is broken by this."""
    match error:
        case PeerTooSlowError():
            return CloseReason.TIMED_OUT
        case EvictedError() | SlowSubscriberError():
            return CloseReason.EVICTED
        case TruncatedError():
            return CloseReason.TRUNCATED
        case TlsHandshakeError() | UnexpectedReplyError() | MalformedMessageError():
            return CloseReason.PROTOCOL_ERROR
        case _:
            return CloseReason.BROKEN
