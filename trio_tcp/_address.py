"""Where a connection comes from and goes to."""

from __future__ import annotations

import socket
from typing import NamedTuple, TypeAlias

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


def from_sockaddr(family: int, sockaddr: object) -> Address | None:
    """Make an address of what `socket.socket.getpeername` and its kin return."""
    match sockaddr:
        case (str(host), int(port), *_) if family != getattr(socket, "AF_UNIX", None):
            return TcpAddress(host, port)
        case str(path) if family not in (socket.AF_INET, socket.AF_INET6):
            return UnixAddress(path)
        case bytes(name):  # Linux's abstract names begin with a NUL byte
            return UnixAddress(name.decode("utf-8", "backslashreplace"))
        case _:
            return None
