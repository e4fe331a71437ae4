"""Where a connection comes from and goes to."""

from __future__ import annotations

import socket
from typing import Final, NamedTuple, TypeAlias, cast

from trio_tcp._kinds import check_integer, check_kind

__all__ = [
    "Address",
    "TcpAddress",
    "UnixAddress",
    "check_host",
    "check_port",
    "from_sockaddr",
]

MAX_PORT: Final = 0xFFFF


class TcpAddress(NamedTuple):
    """A host's address and a port. ``str()`` gives ``127.0.0.1:80``, ``[::1]:80``."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class UnixAddress(NamedTuple):
    """The path of a Unix socket; empty for the end that connected (it has no name)."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address: TypeAlias = TcpAddress | UnixAddress
"""Where one end of a connection is."""


def from_sockaddr(family: int, sockaddr: object) -> Address | None:
    """Make an address of what `socket.socket.getpeername` and its kin return."""
    if family in (socket.AF_INET, socket.AF_INET6):
        # IPv6 adds a flow label and a scope, of which the host's text has the latter.
        host, port, *_ = cast("tuple[str, int]", sockaddr)
        return TcpAddress(host, port)
    if isinstance(sockaddr, str):
        return UnixAddress(sockaddr)
    if isinstance(sockaddr, bytes):  # Linux's abstract names begin with a NUL byte
        return UnixAddress(sockaddr.decode("utf-8", "backslashreplace"))
    return None


def check_host(host: object) -> None:
    """Check an argument that says whom to connect to.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty.
    """
    check_kind("host", host, str)
    if not host:
        raise ValueError("host must be a name or an address, not ''")


def check_port(port: object, *, least: int = 0) -> None:
    """Check an argument that is a port.

    The system's `getaddrinfo` also takes texts and None, and of a number that is too
    large it takes the lower 16 bits: to another port than was asked for.

    Args:
        port: the argument.
        least: 1, where the system cannot choose one.

    Raises:
        TypeError: it is no integer.
        ValueError: it is out of range.
    """
    check_integer("port", port)
    if not least <= port <= MAX_PORT:  # type: ignore[operator] # is a number
        raise ValueError(f"port must be {least} to {MAX_PORT}, not {port}")
