"""The default observer: one line for each thing worth knowing, at the right level."""

from __future__ import annotations

import errno
import io
import logging

import pytest
import trio

import trio_tcp
from trio_tcp import CloseReason, codecs, testing

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
        (trio_tcp.ConnectionAccepted(id=7, label="", peer=PEER), "DEBUG", "accepted"),
        (
            trio_tcp.ProxyHeaderReceived(
                id=7, label="", peer=PEER, proxy=trio_tcp.UnixAddress("/x"), seconds=1
            ),
            "DEBUG",
            "through the proxy unix:/x",
        ),
        (
            trio_tcp.TlsEstablished(
                id=7,
                label="",
                peer=PEER,
                version="TLSv1.3",
                cipher="TLS_AES_256_GCM_SHA384",
                alpn=None,
                server_name=None,
                seconds=0.25,
            ),
            "DEBUG",
            "connection 7 (192.0.2.1:4711) speaks TLSv1.3, after 0.250 s",
        ),
        (
            trio_tcp.HandshakeFailed(
                id=7, label="", peer=PEER, stage="TLS", error=OSError("x"), seconds=1
            ),
            "INFO",
            "connection 7 (192.0.2.1:4711): TLS failed: x",
        ),
        (
            trio_tcp.ConnectionRejected(
                id=7, label="", peer=PEER, limit="max_per_address"
            ),
            "DEBUG",
            "rejected: max_per_address",
        ),
        (
            trio_tcp.TimedOut(id=7, label="", peer=PEER, timeout="idle", seconds=60),
            "DEBUG",
            "idle=60",
        ),
        (
            trio_tcp.BackpressureStarted(id=7, label="", peer=PEER, bytes_queued=65536),
            "DEBUG",
            "65536 bytes are queued",
        ),
        (
            trio_tcp.BackpressureEnded(id=7, label="", peer=PEER, seconds=3),
            "DEBUG",
            "3.0 s",
        ),
        (
            trio_tcp.ConnectionDrained(id=7, label="", peer=PEER, stage="told"),
            "DEBUG",
            "drained: told",
        ),
        (
            trio_tcp.ConnectionDrained(id=7, label="", peer=PEER, stage="cancelled"),
            "INFO",
            "drained: cancelled",
        ),
        (
            trio_tcp.MessageMalformed(
                id=7, label="ann", peer=PEER, error=ValueError("bad"), number=1
            ),
            "INFO",
            "'ann'",
        ),
        (
            trio_tcp.MessageMalformed(
                id=7, label="ann", peer=PEER, error=ValueError("bad"), number=2
            ),
            "DEBUG",
            "malformed",
        ),
        (
            trio_tcp.GarbageSkipped(id=7, label="", peer=None, count=12, number=2),
            "DEBUG",
            "12 bytes",
        ),
        (
            trio_tcp.GarbageSkipped(id=7, label="", peer=None, count=12, number=1),
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
    assert vars(record)["event"] is event


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


FORGERY = "x\nERROR:root:forged\r\x1b[2J\x9b31m\u2028\u202e\udcff"
ESCAPED = r"x\nERROR:root:forged\r\x1b[2J\x9b31m\u2028\u202e\udcff"


def written(event: trio_tcp.Event) -> str:
    """Return what a plain formatter writes of a record."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logger = logging.getLogger("trio_tcp")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        trio_tcp.log_events(event)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return output.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    "event",
    [
        ended(CloseReason.BROKEN, OSError(FORGERY)),
        trio_tcp.MessageMalformed(
            id=7,
            label="",
            peer=PEER,
            error=trio_tcp.MalformedMessageError(FORGERY),
            number=1,
        ),
        trio_tcp.HandshakeFailed(
            id=7, label="", peer=None, stage="TLS", error=OSError(FORGERY), seconds=1
        ),
        trio_tcp.GarbageSkipped(id=7, label=FORGERY, peer=None, count=1, number=1),
        trio_tcp.GarbageSkipped(
            id=7, label="", peer=trio_tcp.UnixAddress(FORGERY), count=1, number=1
        ),
    ],
)
def test_what_a_peer_has_written_is_escaped(event: trio_tcp.Event) -> None:
    """It can neither forge a line, nor command a terminal."""
    line = written(event)
    assert line.isprintable()
    assert ESCAPED in line


def test_a_traceback_is_escaped_and_indented() -> None:
    """So no line of it can be taken for a line of the log's own."""
    error = ValueError(FORGERY)
    error.__cause__ = KeyError(FORGERY)
    first, *others = written(
        trio_tcp.HandlerFailed(id=7, label="", peer=PEER, error=error)
    ).split("\n")
    assert first.startswith("ERROR:trio_tcp:connection 7")
    assert "  ValueError: x" in others
    assert r"  ERROR:root:forged\r\x1b[2J\x9b31m\u2028\u202e\udcff" in others
    for line in others:
        assert line.startswith("  ")
        assert line.isprintable()


def test_a_line_says_only_the_beginning_and_the_end_of_a_long_text() -> None:
    error = ValueError("begin" + "x" * 1_000_000 + "end")
    line = written(ended(CloseReason.BROKEN, error))
    assert "begin" in line
    assert line.endswith("end")
    assert len(line) < 1000
    failed = trio_tcp.HandlerFailed(id=7, label="", peer=PEER, error=error)
    assert len(written(failed)) < 2000


def test_a_decoder_may_quote_a_message_and_the_error_quotes_little_of_it() -> None:
    """What int() and float() say has all of the text that is none."""
    codec = codecs.Mapped(codecs.Lines(max_bytes=10**6), decode=float, encode=str)
    decoder = codecs.Decoder(codec)
    decoder.feed(b"1.5\x1b" * 10_000 + b"\n")
    with pytest.raises(trio_tcp.MalformedMessageError) as caught:
        decoder.next_message()
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    assert len(str(caught.value.__cause__)) > 40_000


def test_an_unexpected_reply_is_quoted_only_so_far() -> None:
    error = trio_tcp.UnexpectedReplyError("x" * 1_000_000)
    assert len(str(error)) < 300
    assert error.id == "x" * 1_000_000


class BrokenHandler(logging.Handler):
    """Raises, which no handler should."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


async def test_a_log_that_fails_is_not_the_servers_failure() -> None:
    """Neither when a record is written, nor when that is to be reported."""
    handler = BrokenHandler()
    logger = logging.getLogger("trio_tcp")
    logger.addHandler(handler)
    try:
        async with testing.serve_in_memory(shout, codecs.Lines()) as served:
            for _ in range(2):
                async with served.connect() as client:
                    await client.send("hello")
                    with pytest.raises(trio_tcp.ConnectionBroken):
                        await client.receive()
    finally:
        logger.removeHandler(handler)


async def shout(connection: trio_tcp.Connection[str, str]) -> None:
    raise ValueError(await connection.receive())


def test_an_observer_that_fails_is_one_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def observe(event: trio_tcp.Event, /) -> None:
        raise ValueError(FORGERY)

    async def main() -> None:
        async with testing.serve_in_memory(
            shout, codecs.Lines(), observer=observe
        ) as served:
            async with served.connect():
                pass

    trio.run(main)
    started = caplog.records[0]
    assert started.levelname == "ERROR"
    assert "the observer" in started.getMessage()
    assert "ServerStarted" in started.getMessage()
    assert started.exc_text is not None
    assert "\x1b" not in started.exc_text
