"""The default observer: one line in the log for each thing worth knowing."""

from __future__ import annotations

import logging
import os

from trio_tcp._address import Address
from trio_tcp._backplane_events import (
    BackplaneConnected,
    BackplaneLost,
    BackplaneRefused,
)
from trio_tcp._events import (
    LOGGER,
    AcceptPaused,
    AcceptResumed,
    CloseReason,
    ConnectionEnded,
    ConnectionOpened,
    ConnectionRejected,
    DrainReport,
    DrainStarted,
    Event,
    GarbageSkipped,
    HandlerFailed,
    HandshakeFailed,
    LimitReached,
    MessageMalformed,
    ServerResumed,
    ServerStarted,
    ServerStopped,
    ServerSuspended,
)

__all__ = ["log_events"]


def _who(peer: Address | None) -> str:
    return "a client with no address" if peer is None else str(peer)


_QUIET = (
    CloseReason.PEER_CLOSED,
    CloseReason.CLOSED,
    CloseReason.DETACHED,
    CloseReason.DRAINED,
)


def _is_in_order(event: Event) -> bool:
    """Say whether this is what happens to each connection: the fast path."""
    if isinstance(event, ConnectionEnded):
        return event.reason in _QUIET
    return isinstance(event, ConnectionOpened)


def log_events(event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - a case for each
    """Write a record to the ``trio_tcp`` logger: the default observer.

    A peer's misconduct is one line at INFO, a handler's exception is at ERROR with its
    traceback, and what is in order is at DEBUG.
    """
    if _is_in_order(event) and not LOGGER.isEnabledFor(logging.DEBUG):
        return
    match event:
        case HandlerFailed():
            LOGGER.error("%s: handler failed", event.name, exc_info=event.error)
        case ConnectionEnded():
            # A failed handler has its own record, with the traceback.
            quiet = event.reason in _QUIET or event.reason is CloseReason.HANDLER_FAILED
            level = logging.DEBUG if quiet else logging.INFO
            detail = f": {event.error}" if event.error and not quiet else ""
            LOGGER.log(level, "%s ended, %s%s", event.name, event.reason.value, detail)
        case ConnectionOpened():
            LOGGER.debug("%s opened", event.name)
        case MessageMalformed():
            LOGGER.info("%s: malformed message: %s", event.name, event.error)
        case GarbageSkipped():
            LOGGER.info("%s: skipped %d bytes of garbage", event.name, event.count)
        case AcceptPaused():
            reason = os.strerror(event.error.errno or 0)
            LOGGER.error(
                "cannot accept (%s); trying every %g s", reason, event.retry_seconds
            )
        case AcceptResumed():
            LOGGER.warning("accepting again, after %.1f s", event.paused_seconds)
        case LimitReached():
            LOGGER.warning("limit reached: %s=%g", event.limit, event.value)
        case ConnectionRejected():
            # DEBUG: there may be as many as an attacker likes.
            LOGGER.debug("rejected %s: %s", _who(event.peer), event.limit)
        case HandshakeFailed():
            LOGGER.info(
                "%s failed with %s: %s", event.stage, _who(event.peer), event.error
            )
        case DrainStarted():
            LOGGER.info(
                "draining %d connections, for up to %g s",
                event.connections,
                event.grace,
            )
        case DrainReport():
            LOGGER.info(
                "drained in %.1f s: %d finished, %d cancelled, %d aborted",
                event.seconds,
                event.finished,
                event.cancelled,
                event.aborted,
            )
        case ServerSuspended():
            LOGGER.info("suspended: accepting nobody")
        case ServerResumed():
            LOGGER.info("resumed: accepting again")
        case ServerStarted():
            LOGGER.info("listening on %s", ", ".join(map(str, event.addresses)))
        case ServerStopped():
            LOGGER.info("stopped, after %d connections", event.accepted)
        case BackplaneConnected():
            memory = ", which has lost its memory" if event.has_forgotten else ""
            LOGGER.info("connected to the backplane at %s%s", event.name, memory)
        case BackplaneLost():
            LOGGER.log(
                logging.WARNING if event.attempts == 1 else logging.DEBUG,
                "no backplane at %s (%s); trying again in %.1f s",
                event.name,
                event.error,
                event.retry_seconds,
            )
        case BackplaneRefused():
            LOGGER.warning(
                "the backplane at %s takes nothing: %s", event.name, event.error
            )
        case _:
            LOGGER.debug("%r", event)
