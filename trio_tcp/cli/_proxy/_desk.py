"""What can be changed while a proxy runs, and what it tells: from wherever one asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from trio_tcp.cli._proxy._notation import (
    FaultText,
    find_target,
    write_fault,
    write_target,
)
from trio_tcp.testing import FaultProxy, Injection, ProxiedConnection, faults

__all__ = ["Desk"]


@final
class Desk:
    """The faults of a proxy by their numbers, and its connections.

    Attributes:
        proxy: whose.
        faults: those in force, by their numbers, which count from 1.
        tell: called with a line for each thing that happens; may be set.
    """

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy: FaultProxy = proxy
        self.faults: dict[int, Injection] = {}
        self.tell: Callable[[str], None] = lambda _: None
        self._last = 0
        proxy.network.on_injection = self._on_injection
        proxy.on_connection = self._on_connection

    # --- what is asked of it

    def add(self, text: FaultText) -> int:
        """Let something go wrong, and return its number.

        A `Reset` is over at once.

        Raises:
            ValueError: the place is a connection that is not there.
            TypeError: the fault is for another kind of place.
        """
        target = find_target(self.proxy, text.place)
        injection = self.proxy.inject(text.fault, target)
        number = self._last
        if isinstance(text.fault, faults.Reset):
            injection.end()
        return number

    def end(self, number: int) -> None:
        """Let it go wrong no more.

        Raises:
            LookupError: no fault of that number is in force.
        """
        if number not in self.faults:
            raise LookupError(f"no fault {number} is in force")
        self.faults[number].end()

    def end_all(self) -> None:
        """Let nothing go wrong any more."""
        for injection in list(self.faults.values()):
            injection.end()

    def reset(self, number: int) -> None:
        """Reset a connection.

        Raises:
            LookupError: no connection of that number is open.
        """
        if number not in self.proxy.connections:
            raise LookupError(f"no connection {number} is open")
        self.proxy.connections[number].reset()

    def reset_all(self) -> None:
        """Reset all connections."""
        for connection in list(self.proxy.connections.values()):
            connection.reset()

    def describe(self, number: int) -> str:
        """Write a fault as it can be added, with its place."""
        injection = self.faults[number]
        return self._write(injection)

    def _write(self, injection: Injection) -> str:
        place = write_target(self.proxy, injection.target)
        return write_fault(injection.fault) + (f"@{place}" if place else "")

    # --- what happens

    def _on_injection(self, injection: Injection) -> None:
        text = self._write(injection)
        if not injection.is_over:
            self._last += 1
            self.faults[self._last] = injection
            self.tell(f"fault {self._last} begins: {text}")
            return
        [number] = [n for n, each in self.faults.items() if each is injection]
        del self.faults[number]
        self.tell(f"fault {number} ends: {text}")

    def _on_connection(self, connection: ProxiedConnection) -> None:
        if connection.is_open:
            self.tell(f"{connection} begins: from {connection.client or 'nowhere'}")
            return
        error = connection.error
        how = "" if error is None else f": {error.strerror or error}"
        self.tell(
            f"{connection} ends{how}; {connection.to_server} bytes to the server, "
            f"{connection.to_client} to the client"
        )
