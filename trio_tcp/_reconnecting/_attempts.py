"""What users give to connect with, and which of its failures are the server's."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias, TypeVar

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, PeerClosed
from trio_tcp._events import CloseReason
from trio_tcp._nursery import leaves

__all__ = [
    "OUR_DOING",
    "Connect",
    "Prepare",
    "check_connect",
    "end_of",
    "fault_of",
    "is_failure",
    "never",
    "seeded",
]

In = TypeVar("In")
Out = TypeVar("Out")

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection[In, Out]]]
"""What opens a connection, anew at each call: ``partial(connect_tcp, ...)``."""

Prepare: TypeAlias = Callable[[Connection[In, Out]], Awaitable[object]]
"""What is done with each new connection before anybody else has it, such as a login."""

FAILURES: Final = (
    OSError,
    ConnectionFault,
    trio.BrokenResourceError,  # of a stream below one's own `connect`
    trio.TooSlowError,  # of `trio.fail_after` in `prepare`
)
"""What makes an attempt a failed one. Anything else is a mistake in the program."""

OUR_DOING: Final = (None, CloseReason.CLOSED, CloseReason.DETACHED)
"""Reasons that say nothing about the server."""


def never(_error: Exception) -> bool:
    """No error is permanent: the default."""
    return False


def is_failure(error: BaseException) -> bool:
    """Say whether an exception is about the server or the network, and nothing else."""
    return all(isinstance(leaf, FAILURES) for leaf in leaves(error))


def check_connect(connect: object) -> None:
    """Check what a user gives to connect with.

    Raises:
        TypeError: it is a connection, not what opens one.
    """
    if isinstance(connect, AbstractAsyncContextManager) or not callable(connect):
        raise TypeError(
            "connect must be a function without arguments that opens a connection each "
            f"time it is called, such as functools.partial(connect_tcp, ...), "
            f"not {connect!r}"
        )


def seeded() -> random.Random:
    """Return a generator that ``random.seed`` decides on, so that runs can repeat."""
    return random.Random(random.getrandbits(64))


def fault_of(error: BaseException, connection_id: int) -> ConnectionFault | None:
    """Find what an exception says about this connection, if anything."""
    for leaf in leaves(error):
        if isinstance(leaf, ConnectionFault) and leaf.connection_id == connection_id:
            return leaf
    return None


def end_of(connection: Connection[In, Out]) -> Exception:
    """Return the error by which a connection ended: `PeerClosed` has none."""
    if isinstance(connection.close_error, Exception):
        return connection.close_error
    closed = PeerClosed("the peer has closed")
    closed.connection_id = connection.id
    return closed
