"""Clients out of a listener, as transports.

Trio's listener gives one stream at a time, with options set by two system calls each.
From a listener of real sockets several are accepted at once here, straight as what they
are to be.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, final

import trio

from trio_tcp._address import from_sockaddr
from trio_tcp._transport._socket import SocketTransport
from trio_tcp._transport._transport import Transport

__all__ = ["Acceptor", "SocketAcceptor", "StreamAcceptor"]

GONE_ERRNOS: Final = frozenset(
    number
    for name in (
        *("ECONNABORTED", "EPERM", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET"),
    )
    if (number := getattr(errno, name, None)) is not None
)
"""What was wrong with one client before it was accepted, and concerns no other: Linux
hands the pending errors of the new socket on; EPERM is a firewall's (accept(2))."""

INHERITS_OPTIONS: Final = sys.platform == "linux"
"""Whether an accepted socket begins with the TCP options of its listener (tcp(7))."""

UNSENT_BYTES: Final = 16 << 10
"""For TCP_NOTSENT_LOWAT: how much the kernel takes before it could send it. More would
only make what is queued older, as Trio's `trio.SocketStream` explains."""


class Acceptor(Protocol):
    """Accepts clients."""

    async def accept(self, limit: int) -> list[Transport]:
        """Wait for clients, and accept those that are there, but not more than so many.

        Returns:
            At least one.

        Raises:
            trio.ClosedResourceError: the listener is closed.
            OSError: accepting failed.

        Cancellation:
            Loses nobody.
        """
        ...

    def release(self) -> None:
        """Let go of the listener, which stays its owner's to close."""
        ...


@final
class StreamAcceptor:
    """Accepts from a listener of which nothing is known but Trio's interface."""

    def __init__(
        self,
        listener: trio.abc.Listener[trio.abc.Stream],
        make: Callable[[trio.abc.Stream], Transport],
    ) -> None:
        self._listener = listener
        self._make = make

    async def accept(self, limit: int) -> list[Transport]:
        """As `Acceptor`; one at a time."""
        return [self._make(await self._listener.accept())]

    def release(self) -> None:
        """As `Acceptor`."""


@final
class SocketAcceptor:
    """Accepts from a listener of real sockets."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener.socket
        self._family = self._listener.family
        # Another object for the same descriptor: Trio's own accepts one at a time.
        self._socket = socket.socket(
            self._family,
            self._listener.type,
            self._listener.proto,
            self._listener.fileno(),
        )
        self._socket.setblocking(False)
        self._is_tcp = self._family in (socket.AF_INET, socket.AF_INET6)
        if self._is_tcp and INHERITS_OPTIONS:
            _set_options(self._socket)

    def release(self) -> None:
        """As `Acceptor`."""
        self._socket.detach()

    async def accept(self, limit: int) -> list[Transport]:
        """As `Acceptor`."""
        accepted: list[Transport] = []
        while not accepted:
            if self._listener.fileno() < 0:
                raise trio.ClosedResourceError("this listener was closed")
            await trio.lowlevel.wait_readable(self._listener)
            if self._listener.fileno() < 0:
                continue  # closed meanwhile, and the number may be another's already
            try:
                while len(accepted) < limit:
                    accepted.append(self._accept_one())
            except BlockingIOError:
                pass
            except OSError as error:
                # With some accepted, it will be raised next time, if it lasts.
                if error.errno not in GONE_ERRNOS and not accepted:
                    raise
        return accepted

    def _accept_one(self) -> SocketTransport:
        sock, address = self._socket.accept()
        sock.setblocking(False)
        if self._is_tcp and not INHERITS_OPTIONS:
            _set_options(sock)
        return SocketTransport(sock, peer=from_sockaddr(self._family, address))


def _set_options(sock: socket.socket) -> None:
    """Send without delay, and let what cannot be sent yet wait with us."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError, AttributeError):
        # Not known to Python on every system that has it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
