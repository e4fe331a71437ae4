"""Addresses as sockets take and give them, for both families."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final, cast

import trio

from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._ports import ANY_IPV4, ANY_IPV6
from trio_tcp.testing.traces import Endpoint

__all__ = [
    "SocketName",
    "destination",
    "from_name",
    "is_loopback",
    "resolve",
    "to_name",
]

SocketName = tuple[str, int] | tuple[str, int, int, int]
"""What ``getsockname`` gives for IPv4 and for IPv6."""

LAST_PORT: Final = 0xFFFF

LOOPBACK_IPV4: Final = "127.0.0.1"
LOOPBACK_IPV6: Final = "::1"

_MAPPED: Final = "::ffff:"


def is_loopback(ip: str) -> bool:
    """Say whether an address is that of the own host: 127.0.0.0/8 or ::1."""
    return ip.startswith("127.") or ip == LOOPBACK_IPV6


def destination(remote: str, bound: str) -> str:
    """Say which address is meant: a wildcard stands for the own host.

    Args:
        remote: What was given to connect.
        bound: Where the socket is bound.
    """
    if remote == ANY_IPV4:
        return LOOPBACK_IPV4 if bound in (ANY_IPV4, ANY_IPV6) else bound
    if remote == ANY_IPV6:
        return LOOPBACK_IPV4 if "." in bound else LOOPBACK_IPV6
    return remote


def to_name(end: Endpoint, family: int) -> SocketName:
    """Write an end as a socket of a family names it: IPv4 mapped, if it must be."""
    if family == socket.AF_INET:
        return (end.ip, end.port)
    ip = end.ip if ":" in end.ip else _MAPPED + end.ip
    return (ip, end.port, 0, 0)


async def resolve(name: object, family: socket.AddressFamily) -> Endpoint:
    """Read what was given to bind or connect, and look a name up.

    Raises:
        OSError: there is no such name, or what `from_name` raises.
    """
    try:
        return from_name(name, family)
    except socket.gaierror:
        found = await trio.socket.getaddrinfo(*_host_and_port(name), family)
        return from_name(found[0][4], family)


def from_name(name: object, family: int) -> Endpoint:
    """Read what was given to bind or connect, with a numeric address.

    Raises:
        OSError: EAFNOSUPPORT, the address is of the other family.
        TypeError: it is not a tuple of an address and a port.
        OverflowError: the port is none.
    """
    host, port = _host_and_port(name)
    if not 0 <= port <= LAST_PORT:
        raise OverflowError("port must be 0-65535.")
    if host == "":
        host = "0.0.0.0" if family == socket.AF_INET else "::"
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise socket.gaierror(
            socket.EAI_NONAME, f"{host!r} is not a numeric address"
        ) from None
    if (ip.version == 4) != (family == socket.AF_INET):  # noqa: PLR2004 - of IP
        raise os_error(errno.EAFNOSUPPORT, host)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return Endpoint(str(mapped or ip), port)


def _host_and_port(name: object) -> tuple[str, int]:
    parts = cast("tuple[object, ...]", name)[:2] if isinstance(name, tuple) else ()
    match parts:
        case (str(host), int(port)):
            return host, port
        case _:
            raise TypeError(f"an address is a tuple (host, port), not {name!r}")
