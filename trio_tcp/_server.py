"""The running server: what it tells, and how it is told to change, or to end."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Mapping
from typing import Any, final

import attrs
import trio

from trio_tcp._accept import Gate
from trio_tcp._address import Address, TcpAddress
from trio_tcp._admission import Admission
from trio_tcp._arrival import Arrivals
from trio_tcp._closing import Ending
from trio_tcp._connection import Connection
from trio_tcp._drain import Drain
from trio_tcp._events import (
    CloseReason,
    ConnectionEnded,
    ConnectionStatistics,
    DrainReport,
    DrainStarted,
    Event,
    Observer,
    ServerResumed,
    ServerStopped,
    ServerSuspended,
    notify,
)
from trio_tcp._group import Group
from trio_tcp._handshake import check_side
from trio_tcp._kinds import check_kind
from trio_tcp._options import Limits, Tls
from trio_tcp._validators import check_duration

__all__ = ["Server", "ServerState", "ServerStatistics"]


class ServerState(enum.Enum):
    """What a server does about those who connect."""

    ACCEPTING = "accepting"
    """It accepts them."""
    SUSPENDED = "suspended"
    """It lets them wait: `Server.suspend`."""
    LEAVING = "leaving"
    """It accepts, but will soon drain, and is to be sent nobody any more:
    `Server.announce_drain`."""
    DRAINING = "draining"
    """It listens no more, and lets its connections end: `Server.drain`."""
    STOPPED = "stopped"
    """It has ended."""


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """The counters of a server, at one moment.

    Attributes:
        accepted: connections so far: clients that were neither refused nor failed in a
            handshake.
        open: connections now.
        waiting: those of them that wait for their peer, with no request in hand. The
            others are busy.
        handshaking: clients now that have not finished a handshake.
        rejected: how many clients were refused for each limit.
        ended: how many connections ended for each reason.
        messages_received: by all connections, the ended ones too.
        messages_sent: likewise.
        bytes_received: likewise.
        bytes_sent: likewise.
        bytes_buffered: held now for all connections: see `Limits.max_buffered_bytes`.
    """

    accepted: int
    open: int
    waiting: int
    handshaking: int
    rejected: Mapping[str, int]
    ended: Mapping[CloseReason, int]
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    bytes_buffered: int


@final
class Server:
    """A running server, as `serve_tcp` and its kin report it when they listen.

    Attributes:
        addresses: where it listens, one for each listener that has an address.
    """

    def __init__(
        self,
        addresses: tuple[Address, ...],
        *,
        gate: Gate,
        admission: Admission,
        arrivals: Arrivals,
        group: Group,
        nursery: trio.Nursery,
        observer: Observer,
    ) -> None:
        self.addresses = addresses
        self._gate = gate
        self._admission = admission
        self._arrivals = arrivals
        self._group = group
        self._nursery = nursery
        self._observer = observer
        self._drain: Drain | None = None
        self._connections: dict[int, Connection[Any, Any]] = {}
        self._served: dict[int, Connection[Any, Any]] = {}
        self._accepted = 0
        self._ended: dict[CloseReason, int] = {}
        self._totals = [0, 0, 0, 0]
        self._is_leaving = False
        self._stopped = False
        group.observer = self._observe

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.addresses)) or "no address"
        return f"<trio_tcp.Server on {where}: {len(self._connections)} connections>"

    # What it tells -------------------------------------------------------------------

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
    def state(self) -> ServerState:
        """What it does about those who connect."""
        if self._stopped:
            return ServerState.STOPPED
        if self._drain is not None:
            return ServerState.DRAINING
        if self._is_leaving:
            return ServerState.LEAVING
        return ServerState.ACCEPTING if self._gate.is_open else ServerState.SUSPENDED

    @property
    def connections(self) -> tuple[Connection[Any, Any], ...]:
        """The connections that are open now, the oldest first."""
        return tuple(self._connections.values())

    def statistics(self) -> ServerStatistics:
        """Return the counters as they are now; they can be read after the end, too."""
        totals = list(self._totals)
        waiting = 0
        for connection in self._connections.values():
            _add(totals, connection.statistics())
            incoming = connection._incoming  # noqa: SLF001 - the server is its owner
            waiting += incoming.receiving and not incoming.patience.is_at_work
        return ServerStatistics(
            accepted=self._accepted,
            open=len(self._connections),
            waiting=waiting,
            handshaking=len(self._arrivals.pending),
            rejected=dict(self._admission.rejected),
            ended=dict(self._ended),
            messages_received=totals[0],
            messages_sent=totals[1],
            bytes_received=totals[2],
            bytes_sent=totals[3],
            bytes_buffered=self._group.budget.held,
        )

    # What it is told -----------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """How much the server takes on. May be replaced; that ends no connection.

        Example::

            server.limits = attrs.evolve(server.limits, max_connections=100)
        """
        return self._admission.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        check_kind("limits", limits, Limits)
        self._admission.limits = limits
        self._group.budget.limit = limits.max_buffered_bytes

    @property
    def tls(self) -> ssl.SSLContext | Tls | None:
        """What clients get who come from now on. May be replaced: new certificates.

        Load them into a new context, and assign that when all of it has succeeded:
        connections that are open keep the old one.

        Raises:
            ValueError: when assigned a context for clients, or none where there was
                one, or the other way round.
        """
        return self._arrivals.tls

    @tls.setter
    def tls(self, tls: ssl.SSLContext | Tls | None) -> None:
        if tls is None or self._arrivals.tls is None:
            raise ValueError("a server cannot change between TLS and no TLS")
        check_side(tls, server=True)
        self._arrivals.tls = tls

    def suspend(self) -> None:
        """Accept nobody for now. Those who connect wait in the kernel's backlog.

        Connections that are open are not affected. Doing it twice does no harm.
        """
        if self._gate.is_open:
            self._gate.close()
            notify(self._observer, ServerSuspended())

    def resume(self) -> None:
        """Accept again, after `suspend`."""
        if not self._gate.is_open and self._drain is None:
            self._gate.open()
            notify(self._observer, ServerResumed())

    def announce_drain(self) -> None:
        """Show in `state` that a drain is near, and do nothing else yet.

        Whoever sends clients here, such as a load balancer, looks now and then whether
        it still may, and goes on for a while. So a server that is to lose nobody says
        that it is leaving, accepts for as long as that takes, and then drains. (Envoy
        has ``/healthcheck/fail`` for it.)
        """
        self._is_leaving = True

    async def drain(self, grace: float = 30.0) -> DrainReport:
        """End the server in order, losing nothing; then `serve_tcp` returns.

        1. It stops listening. Clients in a handshake are closed.
        2. `Connection.draining` is set. Connections that wait for a message, with none
           begun, get `Drained` out of `receive`, unless they are inside
           `Connection.busy`.
        3. The others may finish, for ``grace`` seconds.
        4. The handlers that are left are cancelled; what they have sent is delivered.
        5. Connections that have not ended 5 seconds later are reset.

        Not to be awaited by a handler of this server, which would wait for itself: let
        another task do it. When called again it waits for the same drain, which takes
        no longer than the shortest grace that was given. After the server's end it
        returns the same report again.

        Args:
            grace: seconds; zero or more.

        Cancellation:
            Stops waiting; the drain goes on.

        Raises:
            RuntimeError: the server has ended without a drain.
            ValueError: ``grace`` is no number of zero or more.

        Example::

            report = await server.drain(grace=10)
            print(report.finished, "finished,", report.cancelled, "cancelled")
        """
        check_duration("grace", grace)
        await trio.lowlevel.checkpoint()
        if self._drain is None:
            if self._stopped:
                raise RuntimeError("this server has ended already")
            self._drain = Drain(
                connections=lambda: _endings(self._connections),
                handlers=lambda: _endings(self._served),
                wait_until_empty=self._wait_until_empty,
                handshakes=lambda: self._arrivals.broken_off,
            )
            self._nursery.start_soon(self._run_drain, self._drain)
            started = DrainStarted(connections=len(self._connections), grace=grace)
            notify(self._observer, started)
            self._gate.shut()
            self._arrivals.close()
            self._group.drain()
            for connection in self._connections.values():
                connection._incoming.drain()  # noqa: SLF001 - the server is its owner
        self._drain.hurry(grace)
        return await self._drain.wait()

    async def _run_drain(self, drain: Drain) -> None:
        try:
            await drain.run()
        finally:
            if drain.report is not None:
                notify(self._observer, drain.report)

    async def _wait_until_empty(self) -> None:
        """Wait until nobody is left: clients have a slot to their handler's end."""
        await self._gate.wait_until_left()
        await self._admission.wait_until_empty()

    # For `serve_listeners` -----------------------------------------------------------

    def _enlist(self, connection: Connection[Any, Any]) -> None:
        """List a connection until it ends, and until its handler has."""
        self._accepted += 1
        self._connections[connection.id] = self._served[connection.id] = connection

    def _note_served(self, connection: Connection[Any, Any]) -> None:
        """Take note that its handler has ended."""
        del self._served[connection.id]

    def _observe(self, event: Event) -> None:
        """Take connections off the list before an observer is told of their end."""
        if isinstance(event, ConnectionEnded):
            del self._connections[event.id]
            _add(self._totals, event.statistics)
            self._ended[event.reason] = self._ended.get(event.reason, 0) + 1
            if self._drain is not None:
                self._drain.note_end()
        notify(self._observer, event)

    def _stop(self) -> None:
        self._stopped = True
        stopped = ServerStopped(addresses=self.addresses, accepted=self._accepted)
        notify(self._observer, stopped)


def _endings(connections: Mapping[int, Connection[Any, Any]]) -> list[Ending]:
    return [c._ending for c in connections.values()]  # noqa: SLF001 - as above


def _add(totals: list[int], one: ConnectionStatistics) -> None:
    totals[0] += one.messages_received
    totals[1] += one.messages_sent
    totals[2] += one.bytes_received
    totals[3] += one.bytes_sent
