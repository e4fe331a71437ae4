"""Which addresses and ports of a host are taken, by the rules of Linux."""

from __future__ import annotations

import errno
import itertools
from typing import Final, final

import attrs

from trio_tcp.testing.network._os_error import os_error

__all__ = ["ANY_IPV4", "ANY_IPV6", "Binding", "PortTable"]

ANY_IPV4: Final = "0.0.0.0"
ANY_IPV6: Final = "::"

EPHEMERAL: Final = range(32768, 61000)
"""Ports that are given out (Linux: net.ipv4.ip_local_port_range)."""


@attrs.define(eq=False)
class Binding:
    """A local address that a socket or a connection holds.

    Attributes:
        ip: The address; that of all addresses of a family is a wildcard.
        port: The port.
        only_ipv6: Whether the wildcard of IPv6 leaves IPv4 alone (IPV6_V6ONLY).
        reuse_address: SO_REUSEADDR.
        reuse_port: SO_REUSEPORT.
        listening: Whether somebody listens here.
    """

    ip: str
    port: int
    only_ipv6: bool = False
    reuse_address: bool = False
    reuse_port: bool = False
    listening: bool = False

    def takes(self, ip: str) -> bool:
        """Say whether what is sent to an address of the host comes here."""
        if self.ip == ip or (self.ip == ANY_IPV4 and "." in ip):
            return True
        return self.ip == ANY_IPV6 and (":" in ip or not self.only_ipv6)

    def conflicts_with(self, other: Binding) -> bool:
        """Say whether this cannot join what is there (inet_csk_bind_conflict).

        With SO_REUSEADDR on both, only another listener is in the way: a server that
        is started again takes its port while old connections linger.
        """
        if not (self.takes(other.ip) or other.takes(self.ip)):
            return False
        if self.reuse_port and other.reuse_port:
            return False
        both_reuse = self.reuse_address and other.reuse_address
        return not both_reuse or other.listening


@final
class PortTable:
    """All bindings of one host."""

    def __init__(self) -> None:
        self._by_port: dict[int, list[Binding]] = {}
        self._next = itertools.cycle(EPHEMERAL)

    def add(self, binding: Binding) -> None:
        """Take an address; port 0 means any that is free.

        Raises:
            OSError: EADDRINUSE.
        """
        if binding.port == 0:
            binding.port = self.free_port(errno.EADDRINUSE)
        self.check(binding)
        self._by_port.setdefault(binding.port, []).append(binding)

    def check(self, binding: Binding) -> None:
        """Refuse a binding that conflicts with another.

        Raises:
            OSError: EADDRINUSE.
        """
        for other in self._by_port.get(binding.port, ()):
            if other is not binding and binding.conflicts_with(other):
                raise os_error(errno.EADDRINUSE, f"port {binding.port}")

    def share(self, binding: Binding) -> None:
        """Hold an address that may be held already: a connection that was accepted."""
        self._by_port.setdefault(binding.port, []).append(binding)

    def release(self, binding: Binding) -> None:
        """Give an address back; once is enough."""
        bindings = self._by_port.get(binding.port, [])
        if binding in bindings:
            bindings.remove(binding)
        if not bindings:
            self._by_port.pop(binding.port, None)

    def free_port(self, otherwise: int) -> int:
        """Find a port that nobody holds.

        Raises:
            OSError: all are taken; its number is ``otherwise``.
        """
        for port in itertools.islice(self._next, len(EPHEMERAL)):
            if port not in self._by_port:
                return port
        raise os_error(otherwise, "no port is free")

    def clear(self) -> None:
        """Forget everything, as a host that lost its power."""
        self._by_port.clear()
