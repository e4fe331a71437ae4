"""What faults are in force on, if not a host or a link: a port, a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp.testing.traces import Endpoint, Flag, Flow, Segment

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["Everything", "Path", "Port", "VirtualConnection"]


@final
@attrs.frozen
class Everything:
    """All that is sent on a network."""

    def covers(self, flow: Flow) -> bool:
        """Say yes."""
        return True

    @property
    def hosts(self) -> tuple[str, ...]:
        """Name none, which means all."""
        return ()

    def __str__(self) -> str:
        return "everything"


@final
@attrs.frozen
class Path:
    """Both directions between two hosts. Made by `VirtualNetwork.path`.

    Attributes:
        a: The name of one host.
        b: The name of the other.
    """

    a: str
    b: str

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way go from one of the hosts to the other."""
        return (flow.sender, flow.receiver) in ((self.a, self.b), (self.b, self.a))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of both."""
        return (self.a, self.b)

    def __str__(self) -> str:
        return f"{self.a} <-> {self.b}"


@final
@attrs.frozen
class Port:
    """A port of a host, and every connection to it. Made by `VirtualNetwork.port`.

    Attributes:
        host: The name of the host.
        port: Its number.
    """

    host: str
    port: int

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way go to the port, or come from it."""
        return (flow.receiver == self.host and flow.destination.port == self.port) or (
            flow.sender == self.host and flow.source.port == self.port
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The name of the host."""
        return (self.host,)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@final
class VirtualConnection:
    """A connection, seen from outside. Given by `VirtualNetwork.connections`.

    Attributes:
        client: The address of the end that connected.
        server: The address of the end that accepted.
    """

    def __init__(self, end: TcpEnd) -> None:
        self._end = end
        self.client: Endpoint = end.local
        self.server: Endpoint = end.remote

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way are of this connection."""
        here = self._end.outgoing
        return (flow.source, flow.destination) in (
            (here.source, here.destination),
            (here.destination, here.source),
        ) and self._end.host.name in (flow.sender, flow.receiver)

    def __str__(self) -> str:
        return f"{self.client} <-> {self.server}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of its hosts: of the one that connected, and of the other."""
        return (self._end.outgoing.sender, self._end.outgoing.receiver)

    @property
    def is_open(self) -> bool:
        """Whether the end that connected can still send or receive."""
        return not self._end.is_over

    def reset(self) -> None:
        """Break it: both ends receive a reset, as from something between them."""
        end = self._end
        if end.is_over:
            return
        wire = end.host.wire
        last = Segment(
            wire.now(),
            end.local,
            end.remote,
            end.host.name,
            end.outgoing.receiver,
            Flag.ACK,
            end.sending.next,
            end.receiving.expected,
            0,
        )
        receiver = wire.find_receiver(end.host, end.remote.ip)
        wire.reset_both(last, receiver)
