"""A proxy between real sockets, with a virtual network inside.

Each client's socket is joined to a virtual connection from host ``client`` to host
``server``, and that to a connection to the target. So each fault works by its own code,
with the segments, windows and retransmissions of the virtual network, here by the real
clock::

    client ── socket ═ end on "client" ~~ network ~~ end on "server" ═ socket ── target
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, final

import trio

from trio_tcp._address import Address, TcpAddress, from_sockaddr
from trio_tcp.testing.network import (
    Fault,
    Host,
    Injection,
    Link,
    Target,
    VirtualConnection,
    VirtualNetwork,
    _end_calls,
)
from trio_tcp.testing.network._ports import ANY_IPV4, Binding
from trio_tcp.testing.proxy import _real_socket
from trio_tcp.testing.proxy._proxied_connection import ProxiedConnection
from trio_tcp.testing.proxy._recording import Recording
from trio_tcp.testing.proxy._relay import relay
from trio_tcp.testing.proxy._suitability import check_suitable
from trio_tcp.testing.traces import Endpoint, Trace

if TYPE_CHECKING:
    from trio_tcp.testing.network import TcpEnd
    from trio_tcp.testing.network._listening import Listening

__all__ = ["Connect", "FaultProxy", "Observe"]

Connect = Callable[[], Awaitable[trio.SocketStream]]
"""Connects to the target, or raises `OSError`."""

Observe = Callable[[ProxiedConnection], None]
"""Is told of a connection when it begins, and when it has ended."""

PORT: Final = 1
"""On which the virtual server listens: one is as good as another."""

BUFFER_BYTES: Final = 256 << 10
"""For each of the four buffers of a virtual connection: of each end, what it received
and what it has to send. With a latency it limits the throughput, as on any network: to
this much in each round trip."""


@final
class FaultProxy:
    """A TCP proxy that makes a real network as bad as a virtual one can be.

    Made by `open_fault_proxy`.

    Attributes:
        network: the virtual network inside, with the hosts ``client`` and ``server``.
            Its links have no latency at first, and segments of 1460 bytes, as Ethernet
            has; with ``proxy.network.set_links(mss=65_483)`` there are fewer, and twice
            the throughput. Run a `faults.Plan` or a `faults.Chaos` on it.
        addresses: where it listens.
        connections: those that are open, by their numbers.
        accepted: how many have come so far.
        on_connection: called when a connection begins, and when it has ended.
    """

    def __init__(
        self,
        listeners: Sequence[trio.SocketListener],
        connect: Connect,
        *,
        seed: object,
        trace_bytes: int,
    ) -> None:
        network = VirtualNetwork(seed=seed)
        self.network: VirtualNetwork = network
        self.addresses: tuple[Address, ...] = tuple(map(_address, listeners))
        self.connections: dict[int, ProxiedConnection] = {}
        self.accepted: int = 0
        self.on_connection: Observe = lambda _: None
        self._listeners = listeners
        self._connect = connect
        self._recording = Recording(network.trace, trace_bytes)
        self._by_endpoint: dict[Endpoint, ProxiedConnection] = {}
        network.set_links(latency=0.0)
        self.client: Host = _make_host(network, "client")
        self.server: Host = _make_host(network, "server")

    # --- what its user does

    @property
    def port(self) -> int:
        """The port where it listens.

        Raises:
            ValueError: it listens on no port, or on several.
        """
        ports = {a.port for a in self.addresses if isinstance(a, TcpAddress)}
        if len(ports) != 1:
            raise ValueError(f"there is not one port: {self.addresses}")
        return ports.pop()

    @property
    def to_server(self) -> Link:
        """The direction from clients to the target, to put a fault on it."""
        return self.network.link("client", "server")

    @property
    def to_client(self) -> Link:
        """The direction from the target to clients, to put a fault on it."""
        return self.network.link("server", "client")

    @property
    def trace(self) -> Trace:
        """What was sent between the two virtual hosts, lately."""
        return self.network.trace

    def inject(self, fault: Fault, on: Target | None = None) -> Injection:
        """Let something go wrong, until the injection's ``end``, or for a block.

        Args:
            fault: what goes wrong; see `trio_tcp.testing.faults`.
            on: `to_server`, `to_client`, one of `connections`, or a host; None means
                everything.

        Raises:
            ValueError: the fault means nothing to real programs; the text says why.
            TypeError: it is no fault, or no target, or none for this fault.
        """
        check_suitable(fault)
        return self.network.inject(fault, on)

    # --- what it does

    async def run(  # noqa: ASYNC114 - a name that many functions have
        self, *, task_status: trio.TaskStatus[None]
    ) -> None:
        """Relay connections until it is cancelled, which resets them."""
        listening = self._listen()
        start = trio.current_time()

        def now() -> float:
            return trio.current_time() - start

        self.network.start_clock(now)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drive, start)
            nursery.start_soon(self._accept, listening, nursery)
            await nursery.start(trio.serve_listeners, self._take, self._listeners)
            task_status.started()

    async def _drive(self, start: float) -> None:
        """Let the events of the network happen in their time, on the real clock."""
        timeline, recording = self.network.timeline, self._recording
        while True:
            timeline.run_due(trio.current_time() - start)
            recording.trim()
            deadline = start + timeline.next_time
            with trio.CancelScope(deadline=deadline) as until_next:
                timeline.on_earlier = until_next.cancel
                await trio.sleep_forever()

    def _listen(self) -> Listening:
        binding = Binding(ANY_IPV4, PORT)
        self.server.ports.add(binding)
        options = self.server.new_options()
        options.set(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        return self.server.listen(binding, options, backlog=-1)

    async def _take(self, stream: trio.SocketStream) -> None:
        """Take a client, and connect it to the virtual server."""
        options = self.client.new_options()
        options.set(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        server = Endpoint(self.server.addresses[0], PORT)
        try:
            end = self.client.connect(Endpoint(ANY_IPV4, 0), server, options)
        except OSError:  # all ports are in use, which TCP keeps for a minute
            _real_socket.reset(stream.socket)
            return
        connection = self._register(stream.socket, end)
        try:
            await self._relay_client(stream.socket, end, connection)
        finally:
            _real_socket.reset(stream.socket)
            end.close(with_reset=True)
            self._forget(end.local, connection)

    def _register(self, sock: trio.socket.SocketType, end: TcpEnd) -> ProxiedConnection:
        self.accepted += 1
        try:
            client = from_sockaddr(sock.family, sock.getpeername())
        except OSError:  # it has gone already
            client = None
        connection = ProxiedConnection(
            self.accepted, client, self.network.now(), VirtualConnection(end)
        )
        self.connections[connection.number] = connection
        self._by_endpoint[end.local] = connection
        self.on_connection(connection)
        return connection

    def _forget(self, endpoint: Endpoint, connection: ProxiedConnection) -> None:
        connection.is_open = False
        del self.connections[connection.number]
        del self._by_endpoint[endpoint]
        self.on_connection(connection)

    async def _relay_client(
        self,
        sock: trio.socket.SocketType,
        end: TcpEnd,
        connection: ProxiedConnection,
    ) -> None:
        def received(size: int) -> None:
            connection.from_client += size

        def sent(size: int) -> None:
            connection.to_client += size

        try:
            await _end_calls.wait_connected(end)
        except OSError as error:
            connection.error = error
            return
        broken_by = await relay(sock, end, received=received, sent=sent)
        connection.error = connection.error or broken_by

    async def _accept(self, listening: Listening, nursery: trio.Nursery) -> None:
        while True:
            nursery.start_soon(self._reach_target, await listening.accept())

    async def _reach_target(self, end: TcpEnd) -> None:
        """Connect a virtual connection that was accepted to the target."""
        connection = self._by_endpoint.get(end.remote)
        if connection is None:  # the client has gone, and the network tells it later
            connection = ProxiedConnection(0, None, 0, VirtualConnection(end))

        def received(size: int) -> None:
            connection.from_server += size

        def sent(size: int) -> None:
            connection.to_server += size

        try:
            stream = await self._connect()
        except OSError as error:
            connection.error = error
            end.close(with_reset=True)
            return
        sock = stream.socket
        connection.upstream = from_sockaddr(sock.family, sock.getsockname())
        await relay(sock, end, received=received, sent=sent)


def _make_host(network: VirtualNetwork, name: str) -> Host:
    host = network.host(name)
    host.receive_buffer = host.send_buffer = BUFFER_BYTES
    return host


def _address(listener: trio.SocketListener) -> Address:
    sock = listener.socket
    address = from_sockaddr(sock.family, sock.getsockname())
    if address is None:
        raise ValueError(f"a proxy listens on TCP or on Unix sockets, not on {sock!r}")
    return address
