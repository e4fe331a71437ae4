"""What happens to a server as a whole."""

from __future__ import annotations

import attrs

from trio_tcp._address import Address
from trio_tcp._events._event import Event

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "DrainReport",
    "DrainStarted",
    "LimitReached",
    "ServerResumed",
    "ServerStarted",
    "ServerStopped",
    "ServerSuspended",
]


@attrs.frozen(kw_only=True)
class ServerStarted(Event):
    """A server listens. Clients can connect from now on.

    Attributes:
        addresses: where, one for each listener that has an address.
    """

    addresses: tuple[Address, ...]


@attrs.frozen(kw_only=True)
class ServerStopped(Event):
    """A server has ended, and all its connections with it.

    Attributes:
        addresses: where it listened.
        accepted: as in `ServerStatistics`, at the end.
    """

    addresses: tuple[Address, ...]
    accepted: int


@attrs.frozen(kw_only=True)
class ServerSuspended(Event):
    """A server accepts nobody for now: `Server.suspend`."""


@attrs.frozen(kw_only=True)
class ServerResumed(Event):
    """A server accepts again: `Server.resume`."""


@attrs.frozen(kw_only=True)
class AcceptPaused(Event):
    """The system is out of descriptors or memory; accepting is tried again later.

    Reported once, not for each attempt, until `AcceptResumed`.

    Attributes:
        error: what the system said.
        retry_seconds: until the next attempt.
    """

    error: OSError
    retry_seconds: float


@attrs.frozen(kw_only=True)
class AcceptResumed(Event):
    """Accepting works again, after an `AcceptPaused`.

    Attributes:
        paused_seconds: since then.
    """

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
