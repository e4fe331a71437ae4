"""Where a connection comes from and goes to."""

from __future__ import annotations

import socket
from typing import NamedTuple, TypeAlias, cast

__all__ = ["Address", "TcpAddress", "UnixAddress", "from_sockaddr"]


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
