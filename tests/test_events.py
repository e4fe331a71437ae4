"""The default observer: one line for each thing worth knowing, at the right level."""

from __future__ import annotations

import errno
import logging

import pytest

import trio_tcp
from trio_tcp import CloseReason

PEER = trio_tcp.TcpAddress("192.0.2.1", 4711)
STATISTICS = trio_tcp.ConnectionStatistics(
    messages_received=1,
    messages_sent=2,
    bytes_received=3,
    bytes_sent=4,
    bytes_queued=5,
    bytes_skipped=6,
)


def ended(reason: CloseReason, error: Exception | None) -> trio_tcp.ConnectionEnded:
    return trio_tcp.ConnectionEnded(
        id=7,
        label="ann",
        peer=PEER,
        reason=reason,
        error=error,
        statistics=STATISTICS,
        seconds=1.5,
    )


def connected(*, has_forgotten: bool) -> trio_tcp.BackplaneConnected:
    """Make the record of a backplane that is there."""
    return trio_tcp.BackplaneConnected(
        name="redis", lost_seconds=1.5, has_forgotten=has_forgotten
    )


def lost(attempts: int) -> trio_tcp.BackplaneLost:
    """Make the record of one that is away."""
    return trio_tcp.BackplaneLost(
        name="redis", error=OSError("gone"), attempts=attempts, retry_seconds=0.5
    )


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (trio_tcp.ServerStarted(addresses=(PEER,)), "INFO", "192.0.2.1:4711"),
        (trio_tcp.ServerStopped(addresses=(), accepted=9), "INFO", "9 connections"),
        (
            trio_tcp.AcceptPaused(error=OSError(errno.EMFILE, ""), retry_seconds=0.1),
            "ERROR",
            "Too many open files",
        ),
        (trio_tcp.AcceptResumed(paused_seconds=2), "WARNING", "2.0 s"),
        (trio_tcp.ConnectionOpened(id=7, label="", peer=PEER), "DEBUG", "connection 7"),
        (
            trio_tcp.MessageMalformed(
                id=7, label="ann", peer=PEER, error=ValueError("bad")
            ),
            "INFO",
            "'ann'",
        ),
        (
            trio_tcp.GarbageSkipped(id=7, label="", peer=None, count=12),
            "INFO",
            "12 bytes",
        ),
        (ended(CloseReason.PEER_CLOSED, None), "DEBUG", "peer closed"),
        (ended(CloseReason.CLOSED, None), "DEBUG", "closed here"),
        (ended(CloseReason.HANDLER_FAILED, KeyError("x")), "DEBUG", "handler failed"),
        (
            ended(CloseReason.BROKEN, trio_tcp.ConnectionBroken(errno.ECONNRESET)),
            "INFO",
            "Connection reset by peer",
        ),
        (
            ended(CloseReason.TRUNCATED, trio_tcp.TruncatedError(3)),
            "INFO",
            "3 bytes",
        ),
        (connected(has_forgotten=False), "INFO", "connected to the backplane at redis"),
        (connected(has_forgotten=True), "INFO", "has lost its memory"),
        (lost(attempts=1), "WARNING", "no backplane at redis (gone)"),
        (lost(attempts=2), "DEBUG", "trying again in 0.5 s"),
        (
            trio_tcp.BackplaneRefused(name="redis", error=OSError("full")),
            "WARNING",
            "takes nothing: full",
        ),
        (trio_tcp.Event(), "DEBUG", "Event()"),
    ],
)
def test_each_record_is_one_line_at_its_level(
    event: trio_tcp.Event, level: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="trio_tcp")
    trio_tcp.log_events(event)
    (record,) = caplog.records
    assert record.levelname == level
    assert text in record.getMessage()
    assert "\n" not in record.getMessage()
    assert record.exc_info is None


def test_a_failed_handler_is_an_error_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = KeyError("x")
    trio_tcp.log_events(
        trio_tcp.HandlerFailed(id=7, label="ann", peer=PEER, error=error)
    )
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_records_are_frozen_and_have_a_readable_name() -> None:
    event = ended(CloseReason.CLOSED, None)
    assert event.name == "connection 7 'ann' (192.0.2.1:4711)"
    with pytest.raises(AttributeError):
        event.seconds = 2  # type: ignore[misc]  # the error is the point
