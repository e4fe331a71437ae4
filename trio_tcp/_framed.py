"""A handler of messages as a handler of streams, for servers that are not ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from trio_tcp._arguments import check_arguments
from trio_tcp._connection import Connection
from trio_tcp._events import Observer
from trio_tcp._group import Group
from trio_tcp._journal import next_id
from trio_tcp._kinds import check_function
from trio_tcp._log_events import log_events
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._options import DEFAULT_TIMEOUTS, Timeouts
from trio_tcp._serve_connection import Handler, serve_connection
from trio_tcp._transport import make_transport
from trio_tcp.codecs import Codec

__all__ = ["framed"]

In = TypeVar("In")
Out = TypeVar("Out")


def framed(
    handler: Handler[In, Out],
    *,
    codec: Codec[In, Out],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """Make a plain Trio stream handler of a handler of messages.

    For `trio.serve_tcp`, `trio.serve_listeners` and whatever else accepts streams. All
    that concerns one connection is as with `serve_tcp`, above all that a handler's
    failure stays with its connection. What belongs to accepting is not there, as Trio
    accepts: `Server`, limits, drain, and what comes before messages, TLS and PROXY
    headers.

    Args:
        handler: ``async def handler(connection)``.
        codec: turns messages into bytes and back.
        timeouts: how long to wait for a peer.
        observer: is told what happens to the connections.

    Returns:
        ``async def serve(stream)``. It closes the stream, and raises only what leaves a
        server, too (see `serve_listeners`). When it is cancelled, it closes the stream
        at once.

    Raises:
        TypeError: an argument is not of its type, such as a codec's class.

    Example::

        await trio.serve_tcp(trio_tcp.framed(echo, codec=codecs.Lines()), 8888)
    """
    check_function("handler", handler)
    check_arguments(codec=codec, timeouts=timeouts, observer=observer)

    async def serve(stream: trio.abc.Stream) -> None:
        async with open_quiet_nursery() as nursery:
            connection = Connection(
                make_transport(stream),
                id=next_id(),
                codec=codec,
                timeouts=timeouts,
                group=Group(nursery, observer),
                awaits_first=True,
            )
            await serve_connection(handler, connection, _note_nothing)

    return serve


def _note_nothing(_connection: object) -> None:
    """The end of a connection is nobody's concern here."""
