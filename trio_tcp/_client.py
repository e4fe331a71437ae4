"""Connections that this side opens: over TCP, over a Unix socket, over any stream."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import trio

from trio_tcp._address import check_host, check_port
from trio_tcp._arguments import check_arguments
from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectError, PeerTooSlowError, TlsHandshakeError
from trio_tcp._events import CloseReason, Observer, notify
from trio_tcp._group import Group
from trio_tcp._handshake import check_side, shake_hands, tls_established, tls_over
from trio_tcp._journal import next_id
from trio_tcp._keepalive import SocketOption, keepalive_options
from trio_tcp._kinds import check_kind
from trio_tcp._log_events import log_events
from trio_tcp._nursery import is_cancellation, open_quiet_nursery, ungrouped
from trio_tcp._options import DEFAULT_TIMEOUTS, KeepAlive, Timeouts, Tls
from trio_tcp._transport import Transport, make_transport
from trio_tcp.codecs import Codec

__all__ = ["connect_tcp", "connect_unix", "open_connection"]

In = TypeVar("In")
Out = TypeVar("Out")


@asynccontextmanager
async def open_connection(
    stream: trio.abc.Stream,
    *,
    codec: Codec[In, Out],
    tls: ssl.SSLContext | Tls | None = None,
    server_hostname: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[Connection[In, Out], None]:
    """Send and receive messages over any Trio stream.

    At the end of the block the connection is closed gracefully, as with
    `Connection.aclose`. If the block raises, it is aborted. The stream belongs to the
    connection from the call on, and is closed with it, unless `Connection.detach` took
    it out.

    Args:
        stream: a socket, a subprocess's pipes, an SSH channel, a memory stream, …
        codec: turns messages into bytes and back.
        tls: speak TLS first. The context says on which side.
        server_hostname: whose certificate a client expects.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        TlsHandshakeError: TLS could not be agreed on.
        PeerTooSlowError: nor within `Timeouts.handshake`.
        TypeError: an argument is not of its type, such as a codec's class.
        ValueError: ``server_hostname`` without ``tls``.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        Closes the stream at once.

    Example::

        async with trio_tcp.open_connection(stream, codec=codecs.Lines()) as connection:
            await connection.send("hello")
    """
    check_kind("stream", stream, trio.abc.Stream)
    try:
        check_arguments(codec=codec, timeouts=timeouts, observer=observer)
        _check_hostname(server_hostname, tls)
    except (TypeError, ValueError):
        await trio.aclose_forcefully(stream)
        raise
    number = next_id()
    transport = make_transport(stream)
    if tls is not None:
        transport = await _secured(
            transport,
            tls,
            server_hostname,
            timeouts,
            number=number,
            observer=observer,
        )
    async with _open(transport, number, codec, timeouts, observer) as connection:
        yield connection


@asynccontextmanager
async def _open(
    transport: Transport,
    number: int,
    codec: Codec[In, Out],
    timeouts: Timeouts,
    observer: Observer,
) -> AsyncGenerator[Connection[In, Out], None]:
    async with open_quiet_nursery() as nursery:
        group = Group(nursery, observer)
        connection = Connection(
            transport, id=number, codec=codec, timeouts=timeouts, group=group
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


async def _secured(
    transport: Transport,
    tls: ssl.SSLContext | Tls,
    server_hostname: str | None,
    timeouts: Timeouts,
    *,
    number: int,
    observer: Observer,
) -> Transport:
    """Put TLS over a transport, which is closed if that fails."""
    try:
        secure = tls_over(transport, tls, server_hostname=server_hostname)
        seconds = await shake_hands(secure, timeouts.handshake)
    except BaseException:
        # Not aborted: a reset could overtake TLS's alert, which says what is wrong.
        await transport.aclose()  # noqa: ASYNC102 - does not wait
        raise
    assert secure.tls is not None
    event = tls_established(number, "", secure.peer, secure.tls, seconds)
    notify(observer, event)
    return secure


@asynccontextmanager
async def connect_tcp(
    host: str,
    port: int,
    *,
    codec: Codec[In, Out],
    tls: ssl.SSLContext | Tls | None = None,
    server_hostname: str | None = None,
    local_address: str | None = None,
    keepalive: KeepAlive | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> AsyncGenerator[Connection[In, Out], None]:
    """Connect to a TCP server, and speak messages with it.

    Tries all addresses of the name, IPv6 and IPv4, each a little after the other until
    one answers (Happy Eyeballs, RFC 8305, by `trio.open_tcp_stream`), for up to
    `Timeouts.connect`. `trio.fail_after` around it is a deadline for the whole block.

    At the end of the block the connection is closed as by `open_connection`.

    Args:
        host: a name or an address.
        port: a number from 1 to 65535.
        codec: turns messages into bytes and back; the server's own.
        tls: speak TLS first, for up to `Timeouts.handshake`:
            ``ssl.create_default_context()``.
        server_hostname: whose certificate to expect; by default, that of ``host``.
        local_address: the address to connect from; by default the system chooses.
        keepalive: lets TCP itself look whether the server's host is still there; by
            default it does not.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        ConnectError: nobody could be reached (an `OSError`, with its ``errno``), or TLS
            could not be agreed on.
        ValueError: nobody can have this host or port; ``tls`` is a context for servers;
            ``server_hostname`` without ``tls``; or this system cannot do what
            ``keepalive`` says.
        TypeError: an argument is not of its type, such as a codec's class.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        While it connects: nothing is left open. In the block: closes the connection at
        once.

    Example::

        lines = codecs.Lines()
        async with trio_tcp.connect_tcp("::1", 8888, codec=lines) as connection:
            await connection.send("hello")
            print(await connection.receive())
    """
    check_arguments(codec=codec, timeouts=timeouts, observer=observer)
    check_host(host)
    check_port(port, least=1)
    if local_address is not None:
        check_kind("local_address", local_address, str)
    _check_hostname(server_hostname, tls)
    if tls is not None:
        check_side(tls, server=False)
        server_hostname = server_hostname or host
    options = keepalive_options(keepalive)
    target = f"{host} port {port}"
    reach = partial(_open_stream, host, port, local_address, options)
    transport = make_transport(await _reach(target, reach, timeouts.connect))
    number = next_id()
    if tls is not None:
        try:
            transport = await _secured(
                transport,
                tls,
                server_hostname,
                timeouts,
                number=number,
                observer=observer,
            )
        except (TlsHandshakeError, PeerTooSlowError) as error:
            raise ConnectError(target, (error,)) from error
    async with _open(transport, number, codec, timeouts, observer) as connection:
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

    For up to `Timeouts.connect`. At the end of the block the connection is closed as by
    `open_connection`.

    Args:
        path: of the socket.
        codec: turns messages into bytes and back; the server's own.
        timeouts: how long to wait for the peer.
        observer: is told what happens to the connection.

    Raises:
        ConnectError: nobody listens there (an `OSError`, with its ``errno``).
        TypeError: an argument is not of its type, such as a codec's class.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        As of `connect_tcp`.

    Example::

        lines = codecs.Lines()
        async with trio_tcp.connect_unix("/run/echo.sock", codec=lines) as connection:
            await connection.send("hello")
            print(await connection.receive())
    """
    check_arguments(codec=codec, timeouts=timeouts, observer=observer)
    reach = partial(trio.open_unix_socket, path)
    transport = make_transport(await _reach(os.fspath(path), reach, timeouts.connect))
    async with _open(transport, next_id(), codec, timeouts, observer) as connection:
        yield connection


def _check_hostname(server_hostname: object, tls: object) -> None:
    """Refuse to connect in plain text where somebody expects a certificate.

    Raises:
        TypeError: it is no text.
        ValueError: there is no TLS.
    """
    if server_hostname is None:
        return
    check_kind("server_hostname", server_hostname, str)
    if tls is None:
        raise ValueError("server_hostname without tls: nobody would look at it")


async def _open_stream(
    host: str, port: int, local_address: str | None, options: list[SocketOption]
) -> trio.SocketStream:
    try:
        stream = await trio.open_tcp_stream(host, port, local_address=local_address)
    except UnicodeError as error:  # of the IDNA codec, which does not name the host
        raise ValueError(f"host {host!r} is no name: {error}") from error
    try:
        for level, option, value in options:
            stream.setsockopt(level, option, value)
    except OSError:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def _reach(
    target: str,
    reach: Callable[[], Awaitable[trio.SocketStream]],
    seconds: float,
) -> trio.SocketStream:
    """Reach a server, in time.

    Raises:
        ConnectError: there is none, or it does not answer.
    """
    try:
        # Attempts run in a nursery, where Ctrl-C finds them, and puts them in a group.
        with ungrouped(), trio.move_on_after(seconds):
            return await reach()
    except OSError as error:
        raise _connect_error(target, error) from error
    late = TimeoutError(
        errno.ETIMEDOUT, f"no answer in {seconds:g} s (timeouts.connect)"
    )
    raise ConnectError(target, (late,))


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
