"""Which connections a target covers, for faults that do something to each of them."""

from __future__ import annotations

from trio_tcp.testing.network import (
    Host,
    Target,
    TcpEnd,
    VirtualConnection,
    VirtualNetwork,
)
from trio_tcp.testing.traces import Flag, Segment

__all__ = ["connections", "is_first_of_connection", "only_host"]


def connections(network: VirtualNetwork, target: Target) -> list[VirtualConnection]:
    """List the open connections of which a target covers one direction or both."""
    return [
        VirtualConnection(end)
        for end in _ends(network)
        if end.was_opened_here
        and end.is_usable
        and (target.covers(end.outgoing) or target.covers(end.incoming))
    ]


def _ends(network: VirtualNetwork) -> list[TcpEnd]:
    return [end for host in network.hosts.values() for end in host.ends.values()]


def is_first_of_connection(segment: Segment) -> bool:
    """Say whether it asks for a connection: a SYN that answers none."""
    return segment.flags & (Flag.SYN | Flag.ACK) == Flag.SYN


def only_host(fault: object, target: Target) -> Host:
    """Take a target for a host.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(target, Host):
        raise TypeError(f"{fault} is for a host, not for {target}")
    return target
