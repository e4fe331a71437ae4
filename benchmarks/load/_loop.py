"""The loop that clients run in: each is called when its socket is ready."""

from __future__ import annotations

import selectors
import socket
import time
from array import array
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeAlias, cast

from benchmarks.load._errors import LoadError

__all__ = ["READ", "SILENCE", "WRITE", "Loop", "OnReady"]

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
SILENCE: Final = 10.0
"""Seconds without a byte from any connection, after which the server is given up."""

OnReady: TypeAlias = Callable[[int], None]


class Loop:
    """Clients, and how many operations they have done; closes their sockets at the end.

    Attributes:
        operations: counted by the clients.
        latencies: seconds, noted by those clients that care.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.latencies = array("d")
        self._held: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for key in list(self._selector.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._selector.close()
        for sock in self._held:
            sock.close()

    def add(self, sock: socket.socket, events: int, on_ready: OnReady) -> None:
        """Call a function when a socket is ready, with what it is ready for."""
        sock.setblocking(False)
        self._selector.register(sock, events, on_ready)

    def hold(self, sock: socket.socket) -> None:
        """Keep a socket open, and do nothing with it."""
        self._held.append(sock)

    def change(self, sock: socket.socket, events: int, on_ready: OnReady) -> None:
        """Wait for something else from now on."""
        self._selector.modify(sock, events, on_ready)

    def close(self, sock: socket.socket) -> None:
        """Forget a socket, and close it."""
        self._selector.unregister(sock)
        sock.close()

    def run_for(self, seconds: float) -> None:
        """Run the clients for a time, in which nothing need happen."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            for key, events in self._selector.select(left):
                key.data(events)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run the clients until something is so.

        Raises:
            LoadError: nothing came for a long time.
        """
        while not done():
            ready = self._selector.select(SILENCE)
            if not ready:
                raise LoadError(f"nothing came for {SILENCE:.0f} s")
            for key, events in ready:
                key.data(events)
