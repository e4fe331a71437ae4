"""The default observer: one line in the log for each thing worth knowing.

Lines are for people. Programs find the record itself in the log record's ``event``: see
`monitoring.JsonFormatter`.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from trio_tcp._events import (
    LOGGER,
    AcceptPaused,
    AcceptResumed,
    BackpressureEnded,
    BackpressureStarted,
    CloseReason,
    ConnectionAccepted,
    ConnectionDrained,
    ConnectionEnded,
    ConnectionEvent,
    ConnectionOpened,
    ConnectionRejected,
    DescribedEvent,
    DrainReport,
    DrainStarted,
    Event,
    GarbageSkipped,
    HandlerFailed,
    HandshakeFailed,
    LimitReached,
    MessageMalformed,
    ProxyHeaderReceived,
    ServerResumed,
    ServerStarted,
    ServerStopped,
    ServerSuspended,
    TimedOut,
    TlsEstablished,
)
from trio_tcp._printable import printable, printable_traceback

__all__ = ["log_events"]

QUIET: Final = frozenset(
    {
        CloseReason.PEER_CLOSED,
        CloseReason.CLOSED,
        CloseReason.DETACHED,
        CloseReason.DRAINED,
        # A failed handler has its own record, with the traceback.
        CloseReason.HANDLER_FAILED,
    }
)
"""Ends that are in order, or told already."""

LEVELS: Final[dict[type[Event], int]] = {
    HandlerFailed: logging.ERROR,
    HandshakeFailed: logging.INFO,
    AcceptPaused: logging.ERROR,
    AcceptResumed: logging.WARNING,
    LimitReached: logging.WARNING,
    DrainStarted: logging.INFO,
    DrainReport: logging.INFO,
    ServerSuspended: logging.INFO,
    ServerResumed: logging.INFO,
    ServerStarted: logging.INFO,
    ServerStopped: logging.INFO,
}
"""All others are at DEBUG: what is in order; a timeout, of whose end there is another
line; and a rejection, as there may be as many as an attacker likes."""


def log_events(event: Event) -> None:
    """Write a record to the ``trio_tcp`` logger: the default observer.

    A peer's misconduct is one line at INFO, a handler's exception is at ERROR with its
    traceback, and what is in order is at DEBUG. The `logging.LogRecord` has the record
    as its attribute ``event``.

    What a peer may have written (the text of an error, a label) is shortened, and has
    no line ends or control characters; a traceback is indented. So each line that
    begins at the margin is one of the log's own.
    """
    level = _level(event)
    if LOGGER.isEnabledFor(level):
        template, *values = _line(event)
        texts = (printable(v) if isinstance(v, str) else v for v in values)
        error = event.error if isinstance(event, HandlerFailed) else None
        LOGGER.log(level, template, *texts, exc_info=error, extra={"event": event})


def _level(event: Event) -> int:
    if isinstance(event, ConnectionEnded):
        return logging.DEBUG if event.reason in QUIET else logging.INFO
    if isinstance(event, DescribedEvent):
        return event.level
    if isinstance(event, MessageMalformed | GarbageSkipped):
        # One line for each connection: a peer could send millions.
        return logging.INFO if event.number == 1 else logging.DEBUG
    if isinstance(event, ConnectionDrained):
        was_hard = event.stage in {"cancelled", "aborted"}
        return logging.INFO if was_hard else logging.DEBUG
    return LEVELS.get(type(event), logging.DEBUG)


Line = tuple[str, *tuple[object, ...]]
"""A template, and what goes into it."""


def _line(event: Event) -> Line:
    if isinstance(event, ConnectionEvent):
        return _line_of_connection(event)
    if isinstance(event, DescribedEvent):
        return "%s", event.describe()
    return _line_of_server(event)


def _line_of_connection(event: ConnectionEvent) -> Line:  # noqa: C901, PLR0911, PLR0912 - a case for each
    name = event.name
    match event:
        case ConnectionAccepted():
            return "%s accepted", name
        case ProxyHeaderReceived():
            return "%s comes through the proxy %s", name, str(event.proxy)
        case TlsEstablished():
            return "%s speaks %s, after %.3f s", name, event.version, event.seconds
        case HandshakeFailed():
            return "%s: %s failed: %s", name, event.stage, str(event.error)
        case ConnectionRejected():
            return "%s rejected: %s", name, event.limit
        case ConnectionOpened():
            return "%s opened", name
        case MessageMalformed():
            return "%s: malformed message: %s", name, str(event.error)
        case GarbageSkipped():
            return "%s: skipped %d bytes of garbage", name, event.count
        case TimedOut():
            return "%s: timed out: %s=%g", name, event.timeout, event.seconds
        case BackpressureStarted():
            return "%s: a sender waits, %d bytes are queued", name, event.bytes_queued
        case BackpressureEnded():
            return "%s: nobody waits to send, after %.1f s", name, event.seconds
        case ConnectionDrained():
            return "%s: drained: %s", name, event.stage
        case HandlerFailed():
            return "%s: handler failed", name
        case ConnectionEnded(error=error) if error and event.reason not in QUIET:
            return "%s ended, %s: %s", name, event.reason.value, str(error)
        case ConnectionEnded():
            return "%s ended, %s", name, event.reason.value
        case _:
            return "%s", repr(event)


def _line_of_server(event: Event) -> Line:  # noqa: C901, PLR0911 - a case for each
    match event:
        case AcceptPaused():
            reason = os.strerror(event.error.errno or 0)
            return "cannot accept (%s); trying every %g s", reason, event.retry_seconds
        case AcceptResumed():
            return "accepting again, after %.1f s", event.paused_seconds
        case LimitReached():
            return "limit reached: %s=%g", event.limit, event.value
        case DrainStarted():
            template = "draining %d connections, for up to %g s"
            return template, event.connections, event.grace
        case DrainReport():
            return (
                "drained in %.1f s: %d finished, %d cancelled, %d aborted",
                event.seconds,
                event.finished,
                event.cancelled,
                event.aborted,
            )
        case ServerSuspended():
            return ("suspended: accepting nobody",)
        case ServerResumed():
            return ("resumed: accepting again",)
        case ServerStarted():
            return "listening on %s", ", ".join(map(str, event.addresses))
        case ServerStopped():
            return "stopped, after %d connections", event.accepted
        case _:
            return "%s", repr(event)


def _make_printable(record: logging.LogRecord) -> bool:
    """Write the traceback of a record, before a formatter does it without care."""
    if record.exc_info and record.exc_info[1] is not None:
        # Formatters take it from here if it is there.
        record.exc_text = printable_traceback(record.exc_info[1])
    return True


LOGGER.addFilter(_make_printable)
