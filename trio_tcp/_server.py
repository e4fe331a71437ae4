"""Servers: many clients, each in a task of its own, none the others' concern."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, final

import attrs
import trio

from trio_tcp._accept import accept_forever
from trio_tcp._address import Address, TcpAddress
from trio_tcp._connection import Connection
from trio_tcp._events import (
    CloseReason,
    ConnectionEnded,
    ConnectionStatistics,
    Event,
    Observer,
    ServerStarted,
    ServerStopped,
    log_events,
    notify,
)
from trio_tcp._listen import address_of, open_tcp_listeners, open_unix_listener
from trio_tcp._nursery import ungrouped
from trio_tcp._options import Timeouts
from trio_tcp._serve_connection import Handler, serve_connection
from trio_tcp._transport import make_transport
from trio_tcp._writers import Writers
from trio_tcp.codecs import Codec

__all__ = ["Server", "ServerStatistics", "serve_listeners", "serve_tcp", "serve_unix"]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_TIMEOUTS = Timeouts()


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """The counters of a server, at one moment.

    Attributes:
        accepted: connections so far.
        open: connections now.
        ended: how many connections ended for each reason.
        messages_received: by all connections, the ended ones too.
        messages_sent: likewise.
        bytes_received: likewise.
        bytes_sent: likewise.
    """

    accepted: int
    open: int
    ended: Mapping[CloseReason, int]
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int


@final
class Server:
    """A running server, as `serve_tcp` and its kin report it when they listen.

    Attributes:
        addresses: where it listens, one for each listener that has an address.
    """

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self.addresses = addresses
        self._connections: dict[int, Connection[Any, Any]] = {}
        self._accepted = 0
        self._ended: dict[CloseReason, int] = {}
        self._totals = [0, 0, 0, 0]

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.addresses)) or "no address"
        return f"<trio_tcp.Server on {where}: {len(self._connections)} connections>"

    @property
    def port(self) -> int:
        """The TCP port that it listens on; with port 0, the one the system chose.

        Raises:
            ValueError: it listens on no TCP port, or on several different ones.
        """
        ports = {a.port for a in self.addresses if isinstance(a, TcpAddress)}
        if len(ports) != 1:
            raise ValueError(
                f"this server listens on {len(ports)} TCP ports, not on one"
            )
        return ports.pop()

    @property
    def connections(self) -> tuple[Connection[Any, Any], ...]:
        """The connections that are open now, the oldest first."""
        return tuple(self._connections.values())

    def statistics(self) -> ServerStatistics:
        """Return the counters as they are now."""
        totals = list(self._totals)
        for connection in self._connections.values():
            _add(totals, connection.statistics())
        return ServerStatistics(
            accepted=self._accepted,
            open=len(self._connections),
            ended=dict(self._ended),
            messages_received=totals[0],
            messages_sent=totals[1],
            bytes_received=totals[2],
            bytes_sent=totals[3],
        )

    def _add(self, connection: Connection[Any, Any]) -> None:
        self._accepted += 1
        self._connections[connection.id] = connection

    def _observed_by(self, observer: Observer) -> Observer:
        """Take connections off the list before an observer is told of their end."""

        def observe(event: Event) -> None:
            if isinstance(event, ConnectionEnded):
                del self._connections[event.id]
                _add(self._totals, event.statistics)
                self._ended[event.reason] = self._ended.get(event.reason, 0) + 1
            notify(observer, event)

        return observe


def _add(totals: list[int], one: ConnectionStatistics) -> None:
    totals[0] += one.messages_received
    totals[1] += one.messages_sent
    totals[2] += one.bytes_received
    totals[3] += one.bytes_sent


async def serve_listeners(
    handler: Handler[In, Out],
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    codec: Codec[In, Out],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the clients of any listeners, several at once.

    Each connection's handler runs in a task of its own. When it returns, the connection
    is closed gracefully; when it raises, that connection is aborted and the failure
    reported to the observer, and the server goes on. `Cancelled`, `KeyboardInterrupt`,
    `SystemExit` and `trio.TrioInternalError` pass through.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        listeners: closed at the end, in any case.
        codec: turns messages into bytes and back, for all connections.
        timeouts: how long to wait for a peer; each connection's may be replaced.
        observer: is told what happens. The default one logs to ``trio_tcp``.
        handler_nursery: where the handlers run; by default in a nursery of the
            server's own. With yours, handlers may go on when the server has ended.
        task_status: ``server = await nursery.start(serve_listeners, …)`` returns a
            `Server` once clients can connect. (Trio's own function answers with the
            listeners.)

    Raises:
        OSError: accepting failed, and not only for want of resources.

    Cancellation:
        Ends the server: its listeners are closed, its handlers cancelled, and their
        connections closed at once.
    """
    addresses = tuple(a for a in map(address_of, listeners) if a is not None)
    server = Server(addresses)
    observe = server._observed_by(observer)  # noqa: SLF001 - its list is for reading
    try:
        with ungrouped():
            async with trio.open_nursery() as own_nursery:
                # Handlers live outside the nursery of the accept loops, so that
                # accepting can be stopped without stopping them.
                nursery = own_nursery if handler_nursery is None else handler_nursery
                writers = Writers(nursery)

                async def serve(stream: trio.abc.Stream) -> None:
                    connection = Connection(
                        make_transport(stream),
                        codec=codec,
                        timeouts=timeouts,
                        observer=observe,
                        writers=writers,
                    )
                    server._add(connection)  # noqa: SLF001 - as above
                    await serve_connection(handler, connection)

                def start(stream: trio.abc.Stream) -> None:
                    nursery.start_soon(serve, stream, name=handler)

                async with trio.open_nursery() as acceptors:
                    for listener in listeners:
                        acceptors.start_soon(accept_forever, listener, start, observer)
                    notify(observer, ServerStarted(addresses=addresses))
                    task_status.started(server)
    finally:
        accepted = server.statistics().accepted
        notify(observer, ServerStopped(addresses=addresses, accepted=accepted))


async def serve_tcp(
    handler: Handler[In, Out],
    port: int,
    *,
    codec: Codec[In, Out],
    host: str | bytes | None = None,
    backlog: int | None = None,
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
        timeouts: as `serve_listeners`.
        observer: as `serve_listeners`.
        handler_nursery: as `serve_listeners`.
        task_status: as `serve_listeners`.

    Raises:
        OSError: it cannot listen there, as when the port is in use (``EADDRINUSE``).

    Cancellation:
        As `serve_listeners`.

    Example::

        async with trio.open_nursery() as nursery:
            serve = functools.partial(trio_tcp.serve_tcp, codec=codecs.Lines())
            server = await nursery.start(serve, echo, 0)
            print("listening on port", server.port)
    """
    listeners = await open_tcp_listeners(port, host=host, backlog=backlog)
    await serve_listeners(
        handler,
        listeners,
        codec=codec,
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
    backlog: int | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve clients on this machine, over a Unix socket.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        path: of the socket. It must not exist; it is removed at the end.
        codec: turns messages into bytes and back, for all connections.
        backlog: as `serve_tcp`.
        timeouts: as `serve_listeners`.
        observer: as `serve_listeners`.
        handler_nursery: as `serve_listeners`.
        task_status: as `serve_listeners`.

    Raises:
        OSError: it cannot listen there, as when the path exists (``EADDRINUSE``).

    Cancellation:
        As `serve_listeners`.
    """
    listener = await open_unix_listener(os.fspath(path), backlog=backlog)
    try:
        await serve_listeners(
            handler,
            [listener],
            codec=codec,
            timeouts=timeouts,
            observer=observer,
            handler_nursery=handler_nursery,
            task_status=task_status,
        )
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
