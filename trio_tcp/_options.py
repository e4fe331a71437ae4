"""What a user may configure, as frozen and validated records.

Durations are seconds; `math.inf` switches one off. Every default is generous to honest
clients on slow lines. ``docs/how-to/server.md`` has tables of them, and of what others
do.
"""

from __future__ import annotations

import math
import ssl
from typing import Final, Literal

import attrs

from trio_tcp._kinds import of_kind, one_of
from trio_tcp._validators import count, duration, rate, whole

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_TIMEOUTS",
    "Concurrency",
    "KeepAlive",
    "Limits",
    "Timeouts",
    "Tls",
]

MAX_KEEPALIVE_SECONDS: Final = 32_767
MAX_KEEPALIVE_COUNT: Final = 127
"""What Linux takes (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT)."""

MAX_USER_TIMEOUT: Final = (1 << 31) // 1000
"""Seconds; the system counts milliseconds, in 31 bits."""


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long a connection waits for its peer, where nobody else says so.

    In seconds, all but ``message_rate``; `math.inf` switches one off.

    Around a single call, use Trio's own `trio.fail_after` and `trio.move_on_after`.
    These here need no call around anything: they hold for all of a connection's life,
    and may be replaced at any moment of it (`Connection.timeouts`).

    Those about receiving count only while a task waits in `Connection.receive`: a
    handler that is busy does not make its peer late. When one runs out, `receive`
    raises `PeerTooSlowError`.

    Attributes:
        connect: for `connect_tcp` and `connect_unix`, to look up the name and reach
            one of its addresses.
        handshake: for a TLS handshake, from its first byte to its last.
        first_message: for a server's client to begin its first message. Switch it off
            where the server speaks first.
        idle: for somebody to say something, peer or this side.
        message: for the peer to finish a message that it has begun. Large messages
            get longer: see ``message_rate``.
        message_rate: bytes per second that count as progress: each byte of a message
            that has arrived lengthens its ``message`` time by ``1 / message_rate``.
            So whoever keeps to this rate is never too slow, and one byte now and then
            does not keep a message alive.
        write: for the peer to take some of what is waiting to be sent. `send` and
            `flush` raise `PeerTooSlowError`, and the connection is broken.
        lifetime: for a server's connection in all. Its handler is cancelled.
        linger: when a connection is closed, for the peer to read the next part of what
            was already sent, and after that to close as well.

    Raises:
        ValueError: one is no number, or negative, or ``message_rate`` is zero.

    Example::

        patient = Timeouts(idle=3600, linger=30)
    """

    connect: float = attrs.field(default=30.0, validator=duration)
    handshake: float = attrs.field(default=30.0, validator=duration)
    first_message: float = attrs.field(default=60.0, validator=duration)
    idle: float = attrs.field(default=600.0, validator=duration)
    message: float = attrs.field(default=30.0, validator=duration)
    message_rate: float = attrs.field(default=240.0, validator=rate)
    write: float = attrs.field(default=60.0, validator=duration)
    lifetime: float = attrs.field(default=86_400.0, validator=duration)
    linger: float = attrs.field(default=5.0, validator=duration)


@attrs.frozen(kw_only=True)
class Limits:
    r"""How much a server takes on. May be replaced while it runs: `Server.limits`.

    Whoever exceeds a limit per address or per second is refused: the connection is
    reset, and counted in `Server.statistics`. Lowering a limit ends no connection.

    Attributes:
        max_connections: open at once, handshakes included.
        when_full: what becomes of those who connect when all are taken. ``"wait"``:
            they stay in the kernel's backlog until there is room. ``"reject"``: they
            are refused.
        farewell: bytes that those get to read who are refused because the server is
            full, after the TLS handshake where there is one. Empty: none.
        max_per_address: open at once from one address. An IPv6 client counts with all
            others in its /64, the smallest network that a subscriber has (RFC 6177).
            Off by default: a carrier, an office or a load balancer is one address.
        max_accept_rate: new connections per second, and at once.
        max_buffered_bytes: held for all connections together: unfinished or
            undelivered messages, and what waits to be sent. When it is reached `send`
            waits. Where something exceeds it all the same, received or the first that
            a connection sends, the one that holds the most is ended with
            `EvictedError`.

    Raises:
        ValueError: a number, or ``when_full``, makes no sense.
        TypeError: ``farewell`` is no `bytes`.

    Example::

        Limits(max_connections=500, when_full="reject", farewell=b"BUSY\r\n")
    """

    max_connections: float = attrs.field(default=10_000, validator=count)
    when_full: Literal["wait", "reject"] = attrs.field(
        default="wait", validator=one_of("wait", "reject")
    )
    farewell: bytes = attrs.field(default=b"", validator=of_kind(bytes))
    max_per_address: float = attrs.field(default=math.inf, validator=count)
    max_accept_rate: float = attrs.field(default=math.inf, validator=rate)
    max_buffered_bytes: float = attrs.field(default=256 << 20, validator=count)


@attrs.frozen(kw_only=True)
class Concurrency:
    """How many requests of one connection `respond` has in hand at once.

    Attributes:
        limit: that the function works at.
        queue: how many more are read, and wait: to be worked at or, in order, with a
            finished reply for the one before it.
        replies: ``"in_order"``: of the requests, for protocols where that says which
            reply is whose. ``"as_ready"``: for those where the messages say so. No
            request waits for the reply to another.

    Raises:
        ValueError: ``limit`` is less than 1, ``queue`` less than 0, or another makes no
            sense.

    Example::

        Concurrency(limit=8, queue=100, replies="as_ready")
    """

    limit: int = attrs.field(validator=whole(1))
    queue: int = attrs.field(default=0, validator=whole(0))
    replies: Literal["in_order", "as_ready"] = attrs.field(
        default="in_order", validator=one_of("in_order", "as_ready")
    )


def _user_timeout(
    _instance: object, attribute: attrs.Attribute[float | None], value: object
) -> None:
    """Check for None, infinity, or seconds that the system can count."""
    if value is None or value == math.inf:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value <= MAX_USER_TIMEOUT):  # type: ignore[operator] # is a number
        raise ValueError(
            f"{attribute.name} must be None, math.inf, or a number of seconds above 0 "
            f"and up to {MAX_USER_TIMEOUT}, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class KeepAlive:
    """How long TCP itself waits for a peer that does not acknowledge (tcp(7)).

    It notices a host or a network that is gone, also on a connection that nobody
    receives from. A program that hangs it cannot notice, as the host answers for it:
    see `heartbeat`. Calls then raise `ConnectionBroken` with ``ETIMEDOUT``.

    Off by default, as RFC 1122 (4.2.3.6) demands: a short loss of the network would end
    connections that need not even know of it. Once it is on, the defaults notice a dead
    host in two minutes. (Go, where it is on by default, in two and a half; Linux's own
    numbers mean two hours and eleven minutes.)

    Attributes:
        idle: seconds of silence, whole, until the peer's host is asked
            (``TCP_KEEPIDLE``).
        interval: seconds, whole, until it is asked again (``TCP_KEEPINTVL``).
        count: how often it is asked in vain (``TCP_KEEPCNT``).
        user_timeout: seconds for which what was sent may go unacknowledged, or the peer
            may have no room for it, which also is how a peer ends that does not read
            (``TCP_USER_TIMEOUT``, RFC 5482). Without it Linux tries for a quarter of an
            hour, and asking an idle peer does not help, as the peer is not idle. It
            also replaces ``count``. None: ``idle + interval * count``, where the system
            has it (Linux); `math.inf`: as long as the system does.

    Raises:
        ValueError: a number is out of the range that tcp(7) has for it.

    Example::

        KeepAlive(idle=20, interval=5, count=3)  # dead after 35 seconds
    """

    idle: int = attrs.field(default=60, validator=whole(1, MAX_KEEPALIVE_SECONDS))
    interval: int = attrs.field(default=10, validator=whole(1, MAX_KEEPALIVE_SECONDS))
    count: int = attrs.field(default=6, validator=whole(1, MAX_KEEPALIVE_COUNT))
    user_timeout: float | None = attrs.field(default=None, validator=_user_timeout)


@attrs.frozen
class Tls:
    """TLS by a context, and what a context cannot say. Wherever ``tls=`` is taken.

    Attributes:
        context: certificates, versions, ciphers, ALPN, who must show a certificate.
        allow_ragged_eof: take the end of the stream for the peer's end even where its
            ``close_notify`` is missing. Only for protocols that see by themselves
            whether a message is cut short, as length prefixes do.

    Raises:
        TypeError: ``context`` is none.

    Example::

        await trio_tcp.serve_tcp(echo, 8888, codec=codec, tls=Tls(context))
    """

    context: ssl.SSLContext = attrs.field(validator=of_kind(ssl.SSLContext))
    allow_ragged_eof: bool = attrs.field(default=False, kw_only=True)


DEFAULT_TIMEOUTS: Final = Timeouts()
DEFAULT_LIMITS: Final = Limits()
"""Where a user says nothing."""
