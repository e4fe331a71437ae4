"""A host of a virtual network: its addresses, its sockets, the programs on it."""

from __future__ import annotations

import errno
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from trio_tcp.testing.network._addresses import destination, is_loopback
from trio_tcp.testing.network._arriving import arrive
from trio_tcp.testing.network._listening import Listening
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._ports import ANY_IPV4, ANY_IPV6, Binding, PortTable
from trio_tcp.testing.network._socket_options import SocketOptions
from trio_tcp.testing.network._tcp_end import TcpEnd
from trio_tcp.testing.traces import Endpoint, Flow, Segment
from trio_tcp.testing.traces._flags import ACK, RST, SYN

if TYPE_CHECKING:
    from trio_tcp.testing.network._programs import Programs
    from trio_tcp.testing.network._wire import Wire

__all__ = ["Host"]

T = TypeVar("T")

_ANY: Final = (ANY_IPV4, ANY_IPV6)


@final
class Host:
    """One machine on a `VirtualNetwork`. Made by `VirtualNetwork.host`.

    Attributes:
        name: Its name, under which others find it.
        addresses: Its IP addresses.
        receive_buffer: How many received bytes a new socket has room for.
        send_buffer: How many bytes may wait on a new socket until they are sent.
        is_up: Whether it runs; see `crash`.
    """

    def __init__(
        self,
        name: str,
        addresses: tuple[str, ...],
        wire: Wire,
        programs: Programs,
        seed: object,
    ) -> None:
        self.name: str = name
        self.addresses: tuple[str, ...] = addresses
        self.receive_buffer: int = 65_535
        self.send_buffer: int = 65_536
        self.is_up: bool = True
        self.wire: Wire = wire
        self.ports: PortTable = PortTable()
        self.ends: dict[tuple[Endpoint, Endpoint], TcpEnd] = {}
        self.listening: dict[int, list[Listening]] = {}
        self._programs = programs
        self._random = random.Random(f"{seed}:host {name}")

    def __repr__(self) -> str:
        return f"<Host {self.name} {' '.join(self.addresses)}>"

    def __str__(self) -> str:
        return self.name

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way come from this host, or go to it."""
        return self.name in (flow.sender, flow.receiver)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its name: what a fault on it touches."""
        return (self.name,)

    # --- programs

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a program on this host, in the background.

        It is cancelled when the network ends, or the host crashes; `restart` starts
        it again. An error that it raises ends the network, and is raised there.

        Args:
            function: An async function.
            *args: What it is called with.

        Raises:
            TypeError: It is no function, such as what an async function returns.
            RuntimeError: The network is not open.
        """
        self._programs.start(self, function, args)

    async def run(  # noqa: ASYNC114 - a name that many functions have
        self,
        function: Callable[..., Awaitable[T]],
        *args: object,
        task_status: trio.TaskStatus[Any] | None = None,
    ) -> T:
        """Run an async function on this host, and return what it returns.

        What it connects to, listens on and resolves is that of this host, as for all
        tasks that it starts. With ``await nursery.start(host.run, function)``, the
        function tells when it has started, as it does without a host.

        Args:
            function: An async function.
            *args: What it is called with.
            task_status: From ``nursery.start``; is handed on to the function.

        Raises:
            HostCrashedError: the host crashed meanwhile, or is down.

        Cancellation:
            Is that of the function.
        """
        return await self._programs.run(self, function, args, task_status)

    def crash(self) -> None:
        """Turn the power off: every program is cancelled, every socket is gone.

        Nobody is told. A peer that waits for an answer waits; one that sends finds
        out after its retransmissions, or by a reset once the host is up again.
        """
        self.is_up = False
        self._programs.stop(self)  # first, so that none sees its sockets vanish
        for end in list(self.ends.values()):
            end.vanish()
        self.ends.clear()
        for queue in [q for queues in self.listening.values() for q in queues]:
            queue.queue.clear()
            queue.stop()
        self.listening.clear()
        self.ports.clear()

    def restart(self) -> None:
        """Turn the power on again, and start what `start` had started."""
        if not self.is_up:
            self.is_up = True
            self._programs.start_again(self)

    # --- addresses

    def address_for(self, destination: str) -> str:
        """Choose the address from which a destination is reached.

        Raises:
            OSError: ENETUNREACH, the host has no address of that family; ENETDOWN.
        """
        if not self.is_up:
            raise os_error(errno.ENETDOWN, self.name)
        if is_loopback(destination):
            return "127.0.0.1" if "." in destination else "::1"
        if destination in self.addresses:
            return destination
        for address in self.addresses:
            if (":" in address) == (":" in destination):
                return address
        raise os_error(errno.ENETUNREACH, destination)

    def has_address(self, ip: str) -> bool:
        """Say whether a socket of this host can be bound to an address."""
        return ip in _ANY or is_loopback(ip) or ip in self.addresses

    # --- sockets

    def new_options(self) -> SocketOptions:
        """Make the options of a new socket."""
        return SocketOptions(self.receive_buffer, self.send_buffer)

    def listen(
        self, binding: Binding, options: SocketOptions, backlog: int
    ) -> Listening:
        """Let connections come to an address.

        Raises:
            OSError: EADDRINUSE, somebody else listens there.
        """
        binding.listening = True
        try:
            self.ports.check(binding)
        except OSError:
            binding.listening = False
            raise
        listening = Listening(binding, options, backlog)
        self.listening.setdefault(binding.port, []).append(listening)
        return listening

    def stop_listening(self, listening: Listening) -> None:
        """Let no more connections come."""
        queues = self.listening.get(listening.binding.port, [])
        if listening in queues:
            queues.remove(listening)
        listening.binding.listening = False
        listening.stop()

    def connect(
        self, bound: Endpoint, remote: Endpoint, options: SocketOptions
    ) -> TcpEnd:
        """Begin a connection, from any address or port where none is given.

        Raises:
            OSError: EADDRNOTAVAIL, no port is free, or this connection exists;
                EAFNOSUPPORT, it cannot be reached from an address of IPv4;
                ENETUNREACH, no address of this host reaches there; ENETDOWN.
        """
        remote = Endpoint(destination(remote.ip, bound.ip), remote.port)
        ip = self.address_for(remote.ip)
        if "." in bound.ip and ":" in remote.ip:
            raise os_error(errno.EAFNOSUPPORT, remote.ip)
        port = bound.port or self.ports.free_port(errno.EADDRNOTAVAIL)
        local = Endpoint(ip if bound.ip in _ANY else bound.ip, port)
        if (local, remote) in self.ends:
            raise os_error(errno.EADDRNOTAVAIL, f"{local} to {remote}")
        binding = Binding(
            local.ip,
            port,
            reuse_address=options.reuse_address,
            reuse_port=options.reuse_port,
        )
        self.ports.share(binding)
        end = TcpEnd(self, local, remote, options, binding)
        end.connect()
        return end

    def forget(self, end: TcpEnd) -> None:
        """Keep an end of a connection no more."""
        if self.ends.get((end.local, end.remote)) is end:
            del self.ends[end.local, end.remote]

    def draw_sequence_number(self) -> int:
        """Draw the number with which an end begins to count its bytes."""
        return self._random.getrandbits(32)

    # --- segments

    def deliver(self, segment: Segment) -> None:
        """Handle a segment that was sent to this host."""
        end = self.ends.get((segment.destination, segment.source))
        if end is not None and not (segment.flags & SYN and end.is_over):
            arrive(end, segment)
        elif segment.flags & (SYN | ACK | RST) == SYN:
            self._on_syn(segment)
        elif not segment.flags & RST:
            self.wire.answer_with_reset(segment, self)

    def _on_syn(self, syn: Segment) -> None:
        listening = self._find_listening(syn)
        if listening is None:
            self.wire.answer_with_reset(syn, self)
        elif listening.is_full:
            self.wire.lose(syn, "the accept queue is full")
        else:
            local = syn.destination
            old = listening.binding
            binding = attrs.evolve(old, ip=local.ip, listening=False)
            self.ports.share(binding)
            end = TcpEnd(self, local, syn.source, listening.options, binding)
            end.accept(listening, syn)

    def _find_listening(self, syn: Segment) -> Listening | None:
        """Find who listens: an exact address comes before a wildcard."""
        ip, port = syn.destination
        queues = [q for q in self.listening.get(port, ()) if q.binding.takes(ip)]
        exact = [q for q in queues if q.binding.ip == ip]
        candidates = exact or queues
        # Those who share a port (SO_REUSEPORT) get connections by where they come from.
        return candidates[syn.source.port % len(candidates)] if candidates else None
