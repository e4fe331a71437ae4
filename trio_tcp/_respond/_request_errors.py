"""Which errors about a request are replied to, and which end its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, MalformedMessageError
from trio_tcp.codecs import NEED_MORE

__all__ = ["OnError", "is_final", "is_of"]

In = TypeVar("In")
Out = TypeVar("Out")

OnError: TypeAlias = Callable[[Exception, In | None], Out | None]
"""Turns an exception, and the request that it is about, into a reply."""


def is_final(
    error: Exception, request: object, connection: Connection[Any, Any]
) -> bool:
    """Say whether this error is none to reply to; a request that is none is NEED_MORE.

    Nothing is left to answer after an error of the connection itself; nor, whatever it
    is, after one of receiving, which would come again.
    """
    if isinstance(error, MalformedMessageError):
        return False
    return (
        request is NEED_MORE
        or is_of(error, connection)
        or isinstance(error, trio.TrioInternalError)
    )


def is_of(error: BaseException, connection: Connection[Any, Any]) -> bool:
    """Say whether an error is what has become of this connection."""
    return isinstance(error, ConnectionFault) and error.connection_id == connection.id
