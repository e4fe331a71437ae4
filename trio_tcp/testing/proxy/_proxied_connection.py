"""One connection through a proxy, as its user sees it."""

from __future__ import annotations

from typing import final

from trio_tcp._address import Address
from trio_tcp.testing.network import VirtualConnection
from trio_tcp.testing.traces import Flow

__all__ = ["ProxiedConnection"]


@final
class ProxiedConnection:
    """A connection of a real client through a proxy, to the target.

    A fault can be put on it: ``proxy.inject(faults.Stall(), on=connection)``.

    Attributes:
        number: counts from 1, in the order in which clients came.
        client: where the client is; None if its socket has no name.
        upstream: from where the target was connected to, which it takes for its client;
            None before.
        began: when it came, in seconds since the proxy opened.
        from_client: how many bytes were read from the client.
        to_server: how many of them the target's kernel took.
        from_server: how many bytes were read from the target.
        to_client: how many of them the client's kernel took. What was read on one side
            and not written on the other is on the network, or held back there.
        error: what the target said when it was connected to, or how the connection
            broke; None as long as nothing of that has happened.
        is_open: whether either side still has it.
    """

    def __init__(
        self,
        number: int,
        client: Address | None,
        began: float,
        virtual: VirtualConnection,
    ) -> None:
        self.number: int = number
        self.client: Address | None = client
        self.upstream: Address | None = None
        self.began: float = began
        self.from_client: int = 0
        self.to_server: int = 0
        self.from_server: int = 0
        self.to_client: int = 0
        self.error: OSError | None = None
        self.is_open: bool = True
        self._virtual = virtual

    def reset(self) -> None:
        """Break it: client and target each receive a reset."""
        self._virtual.reset()

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way are of this connection."""
        return self._virtual.covers(flow)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts that it is between."""
        return self._virtual.hosts

    def __str__(self) -> str:
        return f"connection {self.number}"
