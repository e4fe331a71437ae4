"""One tree of exceptions, that fits Trio's and carries its numbers."""

from __future__ import annotations

import errno
import pickle

import pytest
import trio

import trio_tcp

EXAMPLES: list[trio_tcp.TrioTcpError] = [
    trio_tcp.EncodeError("a line cannot hold a newline"),
    trio_tcp.MessageTooLargeError(10, 5, "max_bytes"),
    trio_tcp.RequestIdInUseError(7),
    trio_tcp.HalfCloseUnsupportedError("no half-close"),
    trio_tcp.PoolClosedError("closed"),
    trio_tcp.HubClosedError(),
    trio_tcp.SlowSubscriberError(),
    trio_tcp.WorkersFailedError("worker 0 ended, exit status 1"),
    trio_tcp.ConnectError("host port 1", (OSError(errno.ECONNREFUSED, "refused"),)),
    trio_tcp.MalformedMessageError("bad checksum"),
    trio_tcp.FramingError("lost"),
    trio_tcp.FrameTooLargeError(10, 5, "max_bytes"),
    trio_tcp.FrameTooLargeError(None, 5, "max_bytes"),
    trio_tcp.InvalidFrameError("not a digit"),
    trio_tcp.TruncatedError(3),
    trio_tcp.CloseNotifyMissingError(3),
    trio_tcp.TlsHandshakeError("the peer does not speak TLS"),
    trio_tcp.PeerClosed("closed"),
    trio_tcp.Drained("the server drains"),
    trio_tcp.PeerTooSlowError("idle", 600.0),
    trio_tcp.EvictedError(1000, 100.0),
    trio_tcp.ConnectionBroken(errno.ECONNRESET),
    trio_tcp.ConnectionBroken(),
    trio_tcp.UnexpectedReplyError(),
    trio_tcp.UnexpectedReplyError(7),
    trio_tcp.ConnectionLost(may_have_been_processed=True),
    trio_tcp.ConnectionLost(may_have_been_processed=False),
    trio_tcp.ConnectionClosedError("closed"),
]


def test_every_exception_is_in_the_tree() -> None:
    def below(kind: type[BaseException]) -> set[type[BaseException]]:
        inner = {
            inner
            for inner in kind.__subclasses__()
            if not inner.__module__.startswith(("trio_tcp.testing.", "trio_tcp.cli."))
        }
        return {kind}.union(*map(below, inner))

    public = {
        value
        for value in vars(trio_tcp).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert below(trio_tcp.TrioTcpError) == public
    assert {type(e) for e in EXAMPLES} == public - {
        trio_tcp.TrioTcpError,
        trio_tcp.ConnectionFault,
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (trio_tcp.PeerClosed, trio.EndOfChannel),
        (trio_tcp.Drained, trio.EndOfChannel),
        (trio_tcp.PeerTooSlowError, trio.TooSlowError),
        (trio_tcp.EvictedError, trio.BrokenResourceError),
        (trio_tcp.TlsHandshakeError, trio.BrokenResourceError),
        (trio_tcp.FramingError, trio.BrokenResourceError),
        (trio_tcp.ConnectionBroken, trio.BrokenResourceError),
        (trio_tcp.ConnectionClosedError, trio.ClosedResourceError),
        (trio_tcp.ConnectError, OSError),
        (trio_tcp.EncodeError, ValueError),
    ],
)
def test_errors_fit_the_words_that_there_are(
    ours: type[Exception], theirs: type[Exception]
) -> None:
    assert issubclass(ours, theirs)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_an_error_survives_pickling(error: trio_tcp.TrioTcpError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert repr(copy.__dict__) == repr(error.__dict__)


def test_size_errors_name_the_size_the_limit_and_the_option() -> None:
    for error in (
        trio_tcp.MessageTooLargeError(1234, 1000, "max_bytes"),
        trio_tcp.FrameTooLargeError(1234, 1000, "max_bytes"),
    ):
        assert (error.size, error.limit, error.option) == (1234, 1000, "max_bytes")
        for part in ("1234", "1000", "max_bytes"):
            assert part in str(error)
    assert "1000" in str(trio_tcp.FrameTooLargeError(None, 1000, "max_bytes"))
    assert "17 bytes" in str(trio_tcp.TruncatedError(17))


def test_a_broken_connection_tells_the_systems_reason() -> None:
    assert "reset by peer" in str(trio_tcp.ConnectionBroken(errno.ECONNRESET))
    assert str(trio_tcp.ConnectionBroken()) == "the connection is broken"


def test_a_connect_error_has_one_errno_only_where_all_attempts_agree() -> None:
    refused = OSError(errno.ECONNREFUSED, "refused")
    unreachable = OSError(errno.ENETUNREACH, "unreachable")
    assert trio_tcp.ConnectError("x", (refused, refused)).errno == errno.ECONNREFUSED
    both = trio_tcp.ConnectError("x", (refused, unreachable))
    assert both.errno is None
    assert both.attempts == (refused, unreachable)
    assert "refused" in str(both)
    assert "unreachable" in str(both)
    assert "no address" in str(trio_tcp.ConnectError("x", ()))
