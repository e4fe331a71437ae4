"""Connections that this side opens: over TCP, over a Unix socket, over any stream."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectError
from trio_tcp._events import CloseReason, Observer, log_events
from trio_tcp._nursery import is_cancellation, open_quiet_nursery, ungrouped
from trio_tcp._options import Timeouts
from trio_tcp._transport import make_transport
from trio_tcp._writers import Writers
from trio_tcp.codecs import Codec

__all__ = ["connect_tcp", "connect_unix", "open_connection"]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_TIMEOUTS = Timeouts()


@asynccontextmanager
async def open_connection(
    stream: trio.abc.Stream,
    *,
    codec: Codec[In, Out],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[Connection[In, Out], None]:
    """Send and receive messages over any Trio stream.

    At the end of the block the connection is closed gracefully, as with
    `Connection.aclose`. If the block is cancelled it is closed at once, and if it
    raises it is aborted. The stream belongs to the connection from the call on, and is
    closed with it, unless `Connection.detach` took it out.

    Args:
        stream: a socket, a subprocess's pipes, an SSH channel, a memory stream, …
        codec: turns messages into bytes and back.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        BaseException: what the block raises, as itself and never in a group.

    Example::

        async with trio_tcp.open_connection(stream, codec=codecs.Lines()) as connection:
            await connection.send("hello")
    """
    async with open_quiet_nursery() as nursery:
        connection = Connection(
            make_transport(stream),
            codec=codec,
            timeouts=timeouts,
            observer=observer,
            writers=Writers(nursery),
        )
        ending = connection._ending  # noqa: SLF001 - this is its owner
        try:
            yield connection
            await connection.aclose()
        except BaseException as error:
            if not is_cancellation(error):
                await ending.terminate(CloseReason.CLOSED, error)  # noqa: ASYNC102 - shielded
            raise
        finally:
            await ending.terminate()  # noqa: ASYNC102 - it shields itself


@asynccontextmanager
async def connect_tcp(
    host: str,
    port: int,
    *,
    codec: Codec[In, Out],
    local_address: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[Connection[In, Out], None]:
    """Connect to a TCP server, and speak messages with it.

    Tries all addresses of the name, IPv6 and IPv4, each a little after the other until
    one answers (Happy Eyeballs, RFC 8305, by `trio.open_tcp_stream`). `trio.fail_after`
    around it is a deadline for the whole block; for one on connecting alone, set the
    scope's ``deadline`` to `math.inf` as the first thing in the block.

    Args:
        host: a name or an address.
        port: a number from 1 to 65535.
        codec: turns messages into bytes and back; the server's own.
        local_address: the address to connect from; by default the system chooses.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        ConnectError: nobody could be reached (an `OSError`, with its ``errno``).
        BaseException: what the block raises, as itself and never in a group.

    Example::

        lines = codecs.Lines()
        async with trio_tcp.connect_tcp("::1", 8888, codec=lines) as connection:
            await connection.send("hello")
            print(await connection.receive())
    """
    try:
        with ungrouped():  # its attempts run in a nursery, where Ctrl-C finds them
            stream = await trio.open_tcp_stream(host, port, local_address=local_address)
    except OSError as error:
        raise _connect_error(f"{host} port {port}", error) from error
    async with open_connection(
        stream, codec=codec, timeouts=timeouts, observer=observer
    ) as connection:
        yield connection


@asynccontextmanager
async def connect_unix(
    path: str | os.PathLike[str],
    *,
    codec: Codec[In, Out],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[Connection[In, Out], None]:
    """Connect to a server on this machine by the path of its Unix socket.

    Args:
        path: of the socket.
        codec: turns messages into bytes and back; the server's own.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        ConnectError: nobody listens there (an `OSError`, with its ``errno``).
        BaseException: what the block raises, as itself and never in a group.
    """
    try:
        stream = await trio.open_unix_socket(path)
    except OSError as error:
        raise _connect_error(os.fspath(path), error) from error
    async with open_connection(
        stream, codec=codec, timeouts=timeouts, observer=observer
    ) as connection:
        yield connection


def _connect_error(target: str, error: OSError) -> ConnectError:
    """Name what failed, for each address that was tried."""
    # trio.open_tcp_stream puts the attempts into a group, as the error's cause.
    match error.__cause__:
        case ExceptionGroup(exceptions=attempts):
            return ConnectError(target, tuple(attempts))
        case OSError() as attempt:
            return ConnectError(target, (attempt,))
        case _:
            return ConnectError(target, (error,))
