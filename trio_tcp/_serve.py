"""Servers: many clients, each in a task of its own, none the others' concern."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import trio

from trio_tcp._accept import Gate, accept_forever
from trio_tcp._admission import Admission
from trio_tcp._arguments import check_arguments
from trio_tcp._arrival import Arrivals
from trio_tcp._clients import Clients
from trio_tcp._events import Observer, ServerStarted, notify
from trio_tcp._group import Group
from trio_tcp._handshake import check_side
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._listen import address_of, open_tcp_listeners
from trio_tcp._listen_unix import open_unix_listener
from trio_tcp._log_events import log_events
from trio_tcp._nursery import ungrouped
from trio_tcp._options import (
    DEFAULT_LIMITS,
    DEFAULT_TIMEOUTS,
    KeepAlive,
    Limits,
    Timeouts,
    Tls,
)
from trio_tcp._proxy_protocol import ProxyProtocol
from trio_tcp._serve_connection import Handler
from trio_tcp._server import Server
from trio_tcp.codecs import Codec

__all__ = ["serve_listeners", "serve_tcp", "serve_unix"]

In = TypeVar("In")
Out = TypeVar("Out")


async def serve_listeners(
    handler: Handler[In, Out],
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    codec: Codec[In, Out],
    tls: ssl.SSLContext | Tls | None = None,
    proxy_protocol: ProxyProtocol | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the clients of any listeners, several at once. Returns when drained.

    Each connection's handler runs in a task of its own. When it returns, the connection
    is closed gracefully; when it raises, that connection is aborted and the failure
    reported to the observer, and the server goes on. `trio.Cancelled`,
    `KeyboardInterrupt`, `SystemExit` and `trio.TrioInternalError` pass through.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        listeners: closed at the end, in any case.
        codec: turns messages into bytes and back, for all connections.
        tls: makes every client speak TLS first.
        proxy_protocol: makes every client come through a trusted proxy, which sends a
            PROXY header first, before TLS.
        limits: how much to take on; see `Server.limits`.
        timeouts: how long to wait for a peer; each connection's may be replaced.
        observer: is told what happens.
        handler_nursery: where the handlers run; by default in a nursery of the
            server's own. With yours, handlers may go on when the server has ended.
        task_status: ``server = await nursery.start(serve_listeners, …)`` returns a
            `Server` once clients can connect. (Trio's own function answers with the
            listeners.)

    Raises:
        OSError: accepting failed, and not only for want of resources.
        ValueError: ``tls`` is a context for clients, or there are no listeners.
        TypeError: an argument is not of its type, such as a codec's class, or a
            coroutine in the place of the handler.

    Cancellation:
        Ends the server: its listeners are closed, its handlers cancelled, and their
        connections closed at once. To end it in order, use `Server.drain`.

    Example::

        listeners = await trio_tcp.open_tcp_listeners(8888, host="localhost")
        async with trio_tcp.open_unix_listener("/run/echo.sock") as listener:
            listeners.append(listener)
            await trio_tcp.serve_listeners(echo, listeners, codec=codecs.Lines())
    """
    if isinstance(listeners, trio.abc.Listener):
        await trio.aclose_forcefully(listeners)
        raise TypeError("listeners must be a list of them, such as [listener]")
    try:
        check_arguments(codec=codec, timeouts=timeouts, observer=observer)
        _check(handler, tls, proxy_protocol, limits, handler_nursery)
        addresses = tuple(a for a in map(address_of, listeners) if a is not None)
    except (TypeError, ValueError, OSError):  # OSError: one of them is closed
        for listener in listeners:
            await trio.aclose_forcefully(listener)
        raise
    if not listeners:
        raise ValueError("listeners must hold at least one")
    gate = Gate()
    admission = Admission(limits, observer)
    arrivals = Arrivals(
        admission=admission,
        proxy_protocol=proxy_protocol,
        tls=tls,
        timeouts=timeouts,
        observer=observer,
    )
    server: Server | None = None
    try:
        with ungrouped():
            async with trio.open_nursery() as own_nursery:
                # Handlers live outside the nursery of the accept loops, so that
                # accepting can be stopped without stopping them.
                nursery = own_nursery if handler_nursery is None else handler_nursery
                group = Group(nursery, observer)
                server = Server(
                    addresses,
                    gate=gate,
                    admission=admission,
                    arrivals=arrivals,
                    group=group,
                    nursery=own_nursery,
                    observer=observer,
                )
                server.limits = limits
                clients = Clients(
                    handler=handler,
                    codec=codec,
                    timeouts=timeouts,
                    admission=admission,
                    arrivals=arrivals,
                    group=group,
                    nursery=nursery,
                    enlist=server._enlist,  # noqa: SLF001 - its books
                    note_served=server._note_served,  # noqa: SLF001 - as above
                )
                accept = partial(
                    accept_forever,
                    start=clients.start,
                    admission=admission,
                    gate=gate,
                    observer=observer,
                )
                group.hold()
                try:
                    async with trio.open_nursery() as acceptors:
                        for listener in listeners:
                            acceptors.start_soon(accept, listener)
                        notify(observer, ServerStarted(addresses=addresses))
                        task_status.started(server)
                finally:
                    clients.close()
                    group.release()
    finally:
        if server is not None:
            server._stop()  # noqa: SLF001 - as above


def _check(
    handler: object,
    tls: ssl.SSLContext | Tls | None,
    proxy_protocol: object,
    limits: object,
    handler_nursery: object,
) -> None:
    """Check what only a server is given.

    Raises:
        TypeError: one of them is of another kind.
        ValueError: ``tls`` is a context for clients.
    """
    check_function("handler", handler)
    if tls is not None:
        check_side(tls, server=True)
    if proxy_protocol is not None:
        check_kind("proxy_protocol", proxy_protocol, ProxyProtocol)
    check_kind("limits", limits, Limits)
    if handler_nursery is not None:
        check_kind("handler_nursery", handler_nursery, trio.Nursery)


async def serve_tcp(
    handler: Handler[In, Out],
    port: int,
    *,
    codec: Codec[In, Out],
    host: str | bytes | None = None,
    backlog: int | None = None,
    reuse_port: bool = False,
    keepalive: KeepAlive | None = None,
    tls: ssl.SSLContext | Tls | None = None,
    proxy_protocol: ProxyProtocol | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve clients over TCP: `trio.serve_tcp`, with messages instead of bytes.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        port: to listen on; 0 lets the system choose one, see `Server.port`.
        codec: turns messages into bytes and back, for all connections.
        host: a name or an address to listen on; by default all interfaces, over IPv4
            and IPv6. ``"localhost"`` for this machine alone.
        backlog: how many clients the kernel keeps waiting until they are accepted
            (listen(2)); by default as many as it can.
        reuse_port: let other processes listen on the same port, if they do so too
            (``SO_REUSEPORT``); the kernel spreads clients over them.
        keepalive: lets TCP itself look whether clients' hosts are still there; by
            default it does not.
        tls: as `serve_listeners`.
        proxy_protocol: as `serve_listeners`.
        limits: as `serve_listeners`.
        timeouts: as `serve_listeners`.
        observer: as `serve_listeners`.
        handler_nursery: as `serve_listeners`.
        task_status: as `serve_listeners`.

    Raises:
        OSError: it cannot listen there, as when the port is in use (``EADDRINUSE``).
        ValueError: a bad port or backlog, ``reuse_port`` or ``keepalive`` on a system
            without it, or a context for clients.

    Cancellation:
        As `serve_listeners`.

    Example::

        async with trio.open_nursery() as nursery:
            serve = functools.partial(trio_tcp.serve_tcp, codec=codecs.Lines())
            server = await nursery.start(serve, echo, 0)
            print("listening on port", server.port)
    """
    if tls is not None:
        check_side(tls, server=True)
    listeners = await open_tcp_listeners(
        port, host=host, backlog=backlog, reuse_port=reuse_port, keepalive=keepalive
    )
    await serve_listeners(
        handler,
        listeners,
        codec=codec,
        tls=tls,
        proxy_protocol=proxy_protocol,
        limits=limits,
        timeouts=timeouts,
        observer=observer,
        handler_nursery=handler_nursery,
        task_status=task_status,
    )


async def serve_unix(
    handler: Handler[In, Out],
    path: str | os.PathLike[str],
    *,
    codec: Codec[In, Out],
    mode: int | None = None,
    backlog: int | None = None,
    tls: ssl.SSLContext | Tls | None = None,
    proxy_protocol: ProxyProtocol | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve clients on this machine, over a Unix socket.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        path: of the socket. One that a dead server has left behind is replaced. It is
            removed at the end. A path that begins with a NUL is a name in Linux's
            abstract namespace.
        codec: turns messages into bytes and back, for all connections.
        mode: permissions of the socket, such as ``0o660``: who connects must be allowed
            to write. By default the umask decides.
        backlog: as `serve_tcp`.
        tls: as `serve_listeners`.
        proxy_protocol: as `serve_listeners`.
        limits: as `serve_listeners`.
        timeouts: as `serve_listeners`.
        observer: as `serve_listeners`.
        handler_nursery: as `serve_listeners`.
        task_status: as `serve_listeners`.

    Raises:
        OSError: it cannot listen there, as when another server does (``EADDRINUSE``).
        ValueError: a bad path, mode or backlog, or a context for clients.

    Cancellation:
        As `serve_listeners`.

    Example::

        lines = codecs.Lines()
        await trio_tcp.serve_unix(echo, "/run/echo.sock", codec=lines, mode=0o660)
    """
    if tls is not None:
        check_side(tls, server=True)
    async with open_unix_listener(path, mode=mode, backlog=backlog) as listener:
        await serve_listeners(
            handler,
            [listener],
            codec=codec,
            tls=tls,
            proxy_protocol=proxy_protocol,
            limits=limits,
            timeouts=timeouts,
            observer=observer,
            handler_nursery=handler_nursery,
            task_status=task_status,
        )
