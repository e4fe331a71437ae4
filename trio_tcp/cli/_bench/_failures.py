"""What went wrong, by kind, in a few words that a table has room for."""

from __future__ import annotations

import errno
from typing import Final

import trio

import trio_tcp

__all__ = ["FAILURES", "MALFORMED", "TIMED_OUT", "WRONG_REPLY", "kind_of"]

FAILURES: Final = (trio_tcp.TrioTcpError, trio.TooSlowError, OSError)
"""What may become of a connection; anything else is a bug, of a codec perhaps."""

TIMED_OUT: Final = "timed out"
MALFORMED: Final = "malformed reply"
WRONG_REPLY: Final = "wrong reply"

RESET: Final = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)

CONNECTING: Final = {
    errno.ECONNREFUSED: "connect: refused",
    errno.ETIMEDOUT: "connect: timed out",
    errno.ECONNRESET: "connect: reset",
    errno.EADDRNOTAVAIL: "connect: no local port is free",
    errno.EMFILE: "connect: no descriptor is free",
}

KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (trio.TooSlowError, TIMED_OUT),
    (trio_tcp.MalformedMessageError, MALFORMED),
    (trio_tcp.TruncatedError, "closed inside a reply"),
    (trio_tcp.FramingError, "not the codec's framing"),
    (trio_tcp.UnexpectedReplyError, "reply to no request"),
    (trio_tcp.PeerClosed, "closed by the server"),
)


def kind_of(error: Exception) -> str:
    """Name the kind of an error: of one of `FAILURES`."""
    match error:
        case trio_tcp.ConnectError():
            return _connecting(error)
        case trio_tcp.ConnectionBroken(errno=number):
            return "reset" if number in RESET else "broken"
        case _:
            for kind, words in KINDS:
                if isinstance(error, kind):
                    return words
            return type(error).__name__


def _connecting(error: trio_tcp.ConnectError) -> str:
    for attempt in error.attempts:
        if isinstance(attempt, trio_tcp.TlsHandshakeError):
            return "connect: TLS failed"
        if isinstance(attempt, trio_tcp.PeerTooSlowError):
            return "connect: TLS timed out"
    number = error.errno
    if number is None:
        return "connect: failed"
    return CONNECTING.get(number, f"connect: {errno.errorcode.get(number, number)}")
