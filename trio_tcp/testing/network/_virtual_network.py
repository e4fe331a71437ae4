"""The network: hosts, the links between them, names, faults."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import random
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, final

import attrs
import trio
import trio.testing

from trio_tcp.testing.network._addresses import is_loopback
from trio_tcp.testing.network._current_host import current_host
from trio_tcp.testing.network._host import Host
from trio_tcp.testing.network._injection import Fault, Injection
from trio_tcp.testing.network._link import Link, LinkOptions
from trio_tcp.testing.network._names import Names
from trio_tcp.testing.network._netstat import netstat
from trio_tcp.testing.network._open import drive_by_sleeping, open_network
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._programs import Programs
from trio_tcp.testing.network._rules import HeldBack, Rules, Target
from trio_tcp.testing.network._targets import Everything, Path, Port, VirtualConnection
from trio_tcp.testing.network._timeline import Timeline
from trio_tcp.testing.network._virtual_socket import VirtualSocket
from trio_tcp.testing.network._wire import Wire
from trio_tcp.testing.traces import Note, Trace

__all__ = ["VirtualNetwork"]

LOOPBACK: Final = LinkOptions(latency=0.00002, mss=65_483)
"""What a host is to itself: the MTU of Linux's loopback, and its usual latency."""

_SOCKET_FLAGS: Final[int] = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(
    socket, "SOCK_CLOEXEC", 0
)
"""What Linux lets a program add to the type of a socket."""


@final
class VirtualNetwork(trio.abc.SocketFactory):
    """A TCP network in memory, on which Trio programs run unmodified.

    While it is open, `trio.socket.socket` and the lookup of names belong to it, and so
    does everything above them. A task is on the host on which it was started, with
    `Host.start` or `Host.run`; all others are on the host ``test``.

    Most tests want `run_simulation`, which also makes everything repeatable. On its
    own, a network works with any clock of Trio::

        async with VirtualNetwork() as net:
            net.host("server").start(trio.serve_tcp, handler, 80)
            await net.settle()
            stream = await trio.open_tcp_stream("server", 80)

    Args:
        seed: From which everything is drawn that the network draws.

    Attributes:
        trace: Everything that was sent.
        hosts: The hosts by their names.
        dns: More names, each with its addresses. Hosts are known by their own names.
        rules: Where faults ask to be asked.
        random: What faults draw from.
        injections: The faults that are in force, in the order of their beginning.
        on_injection: Called when one of them has begun, or has ended.
    """

    def __init__(self, *, seed: object = 0) -> None:
        self.trace: Trace = Trace()
        self.timeline: Timeline = Timeline()
        self.random: random.Random = random.Random(f"{seed}:faults")
        self._seed = seed
        self._links: dict[tuple[str, str], Link] = {}
        self._link_changes: list[tuple[str, str, dict[str, Any]]] = []
        self._wire = Wire(self.timeline, self.trace, self.link)
        self._wire.on_quiet = self._on_quiet
        self._quiet = trio.lowlevel.ParkingLot()
        self._names = Names(self._wire)
        self.programs: Programs = Programs()
        self.hosts: dict[str, Host] = self._wire.hosts
        self.dns: dict[str, list[str]] = self._names.extra
        self.rules: Rules = self._wire.rules
        self.injections: list[Injection] = []
        self.on_injection: Callable[[Injection], None] = lambda _: None
        self._opened: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> VirtualNetwork:
        self._opened = open_network(self, drive_by_sleeping)
        await self._opened.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._opened is not None
        return await self._opened.__aexit__(  # noqa: ASYNC102 - it is a nursery's
            exc_type, exc_value, traceback
        )

    # --- what it consists of

    def host(self, name: str, *addresses: str) -> Host:
        """Find a host, or add it.

        Args:
            name: Its name.
            *addresses: For a new host, its IP addresses of either family. Without, it
                gets one of 10.0.0.0/16.

        Raises:
            ValueError: An address is not one, or another host has it, or the host
                exists and has others.
        """
        host = self.hosts.get(name)
        if host is not None:
            if addresses and addresses != host.addresses:
                raise ValueError(f"host {name} has {host.addresses}, not {addresses}")
            return host
        addresses = addresses or (self._free_address(),)
        for address in addresses:
            self._check_address(address)
        host = Host(name, addresses, self._wire, self.programs, self._seed)
        self.hosts[name] = host
        for address in addresses:
            self._wire.hosts_by_ip[address] = host
            self.trace.hosts[address] = name
        return host

    def _free_address(self) -> str:
        numbers = itertools.count(len(self.hosts) + 1)
        addresses = (f"10.0.{number >> 8}.{number & 0xFF}" for number in numbers)
        return next(each for each in addresses if each not in self._wire.hosts_by_ip)

    def _check_address(self, address: str) -> None:
        # Otherwise written, it would be another to those who look it up.
        if str(ipaddress.ip_address(address)) != address:
            raise ValueError(f"{address} is not written as an address usually is")
        if is_loopback(address) or address in self._wire.hosts_by_ip:
            raise ValueError(f"{address} is taken")

    def link(self, a: str, b: str) -> Link:
        """Find the direction from one host to another. Its ``options`` may be set."""
        link = self._links.get((a, b))
        if link is None:
            options = LOOPBACK if a == b else LinkOptions()
            link = self._links[a, b] = Link(a, b, options, self._seed)
            for one, other, changes in self._link_changes:
                if _matches(link, one, other):
                    link.options = attrs.evolve(link.options, **changes)
        return link

    def set_links(self, a: str = "*", b: str = "*", **options: Any) -> None:  # noqa: ANN401 - see LinkOptions
        """Set options of all links between hosts, those to come too.

        Args:
            a: The name of a host; ``*`` means any.
            b: The name of another. Both directions are set; for one, use `link`. What
                a host sends to itself is set only where its name is given twice.
            **options: As of `LinkOptions`: ``latency=0.05, jitter=0.01``.

        Raises:
            TypeError: There is no such option.
            ValueError: One makes no sense.
        """
        attrs.evolve(LinkOptions(), **options)  # refuse what is wrong before it is kept
        self._link_changes.append((a, b, options))
        for link in self._links.values():
            if _matches(link, a, b):
                link.options = attrs.evolve(link.options, **options)

    def path(self, a: str, b: str) -> Path:
        """Name both directions between two hosts, to put a fault on them."""
        return Path(a, b)

    def port(self, host: str, port: int) -> Port:
        """Name a port of a host, to put a fault on it."""
        return Port(host, port)

    def connections(self, a: str = "*", b: str = "*") -> list[VirtualConnection]:
        """List the connections that are open between hosts, oldest first.

        Args:
            a: The name of a host; ``*`` means any.
            b: The name of another.
        """
        found = [
            VirtualConnection(end)
            for host in self.hosts.values()
            for end in host.ends.values()
            if end.was_opened_here and end.is_usable
        ]
        return [connection for connection in found if _are(connection.hosts, a, b)]

    def inject(self, fault: Fault, on: Target | None = None) -> Injection:
        """Let something go wrong, until the injection's ``end``, or for a block.

        Args:
            fault: What goes wrong; see `trio_tcp.testing.faults`.
            on: A host, a link, a path, a port or a connection; None means everything.

        Raises:
            ValueError: There is no host of a name that the target has.
            TypeError: It is no fault, or no target, or none for this fault, such as
                anything but a host for `Crash`.
        """
        target = Everything() if on is None else on
        if isinstance(fault, type) or not hasattr(fault, "begin"):
            raise TypeError(f"{fault!r} is no fault; faults.Reset() is one")
        if not hasattr(target, "covers"):
            raise TypeError(f"{target!r} is no target; net.host('a') is one")
        # The host of the test itself is made only when it first does something.
        known = {**self.hosts, "test": None}
        unknown = [name for name in target.hosts if name not in known]
        if unknown:
            raise ValueError(
                f"cannot put {fault} on {target}: there is no host {unknown[0]!r}; "
                f"there are {', '.join(known)}"
            )
        return Injection(self, fault, target)

    def current_host(self) -> Host:
        """Find the host on which the running task is."""
        return current_host.get(None) or self.host("test")

    def note(self, text: str) -> None:
        """Write into the trace what the program does now, on its host.

        The trace as text and as a picture shows it between the segments, so that one
        sees which call has caused which of them. Notes change nothing else, and are no
        part of the trace's digest.

        Args:
            text: One line: ``net.note("send")``.
        """
        host, sent = self.current_host().name, len(self.trace)
        self.trace.notes.append(Note(self.now(), host, text, sent))

    def release(self, held: HeldBack) -> None:
        """Let segments go that a fault has held back, in order."""
        self._wire.release(held)

    # --- what it does

    def now(self) -> float:
        """Say what time it is, in seconds of Trio's clock."""
        return self._wire.now()

    async def settle(self) -> None:
        """Wait until nothing moves: every task waits, and no segment travels.

        Time passes only as far as segments need to arrive. What happens later by a
        timer, of a program or of TCP itself, is not waited for.

        Cancellation:
            Changes nothing.
        """
        while True:
            await trio.testing.wait_all_tasks_blocked()
            if not self._wire.underway:
                return
            await self._quiet.park()

    def _on_quiet(self) -> None:
        self._quiet.unpark_all()

    def netstat(self) -> str:
        """List every connection and every listening port, as netstat does."""
        return netstat(self.hosts.values())

    # --- what Trio asks of it

    @property
    def resolver(self) -> Names:
        """What Trio asks for names."""
        return self._names

    def start_clock(self, now: Callable[[], float]) -> None:
        """Follow the clock of the running Trio program."""
        self._wire.now = now

    def socket(
        self,
        family: socket.AddressFamily | int = socket.AF_INET,
        type: socket.SocketKind | int = socket.SOCK_STREAM,  # noqa: A002 - Trio's name
        proto: int = 0,
    ) -> VirtualSocket:
        """Make a socket on the host of the running task.

        Raises:
            OSError: EAFNOSUPPORT, it is neither of IPv4 nor of IPv6; EPROTONOSUPPORT,
                it is not of TCP.
        """
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise os_error(errno.EAFNOSUPPORT, "a virtual network has IPv4 and IPv6")
        is_stream = type & ~_SOCKET_FLAGS == socket.SOCK_STREAM
        if not is_stream or proto not in (0, socket.IPPROTO_TCP):
            raise os_error(errno.EPROTONOSUPPORT, "a virtual network has only TCP")
        return VirtualSocket(self.current_host(), socket.AddressFamily(family))

    def socket_by_fileno(self, number: int) -> VirtualSocket | None:
        """Find the open socket that has a descriptor; None if it is none of ours."""
        return self._wire.sockets.get(number)


def _matches(link: Link, a: str, b: str) -> bool:
    if link.sender == link.receiver:
        return a == b == link.sender
    return _are(link.hosts, a, b)


def _are(hosts: tuple[str, ...], a: str, b: str) -> bool:
    one, other = hosts
    return any(
        x in ("*", one) and y in ("*", other) for x, y in itertools.permutations((a, b))
    )
