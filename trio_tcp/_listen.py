"""Opening the sockets on which a server listens for TCP."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack
from typing import Final, TypeAlias

import trio

from trio_tcp._address import Address, check_port, from_sockaddr
from trio_tcp._keepalive import SocketOption, keepalive_options
from trio_tcp._kinds import check_integer, check_kind
from trio_tcp._options import KeepAlive

__all__ = ["address_of", "backlog_size", "open_tcp_listeners"]

PORT_ATTEMPTS: Final = 10
"""How often the system may choose a port that is not free on every address."""

MAX_BACKLOG: Final = 0xFFFF
"""Means as many as the kernel allows: it takes the minimum of this and its own limit
(listen(2)). Not larger, because some systems keep it in 16 bits, unchecked."""

SockAddr: TypeAlias = tuple[str | int | bytes, ...]
"""A host and a port; for IPv6 also a flow label and a scope."""

Place: TypeAlias = tuple[int, int, int, SockAddr]
"""Family, type, protocol and address: what a socket is made of, and bound to."""


async def open_tcp_listeners(
    port: int,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
    reuse_port: bool = False,
    keepalive: KeepAlive | None = None,
) -> list[trio.SocketListener]:
    """Listen over TCP, on the same port of every address of a host.

    What `serve_tcp` does first; for `serve_listeners` with several kinds of them.

    As `trio.open_tcp_listeners`, with these differences. With port 0 and several
    addresses (IPv4 and IPv6), Trio lets the system choose for each; clients need one
    port that is the same for all. Trio fails where ``localhost`` is also ``::1`` but
    IPv6 is switched off, as in many containers; here IPv4 is then enough. And Trio has
    no ``SO_REUSEPORT``.

    Args:
        port: 0 lets the system choose one that is free on all addresses.
        host: a name or an address; None is all interfaces, over IPv4 and IPv6.
        backlog: how many clients the kernel keeps waiting until they are accepted
            (listen(2)); None is as many as it can.
        reuse_port: let other sockets, which ask for it too, listen on the same port.
            Linux spreads the clients over them (``SO_REUSEPORT``, socket(7)).
        keepalive: what accepted sockets inherit, from their first moment on.

    Raises:
        OSError: it cannot listen there. What it had opened is closed.
        ValueError: the port or the backlog is out of range, or the system has no
            ``SO_REUSEPORT``, or cannot do what ``keepalive`` says.
        TypeError: the port or the backlog is no integer, or another is not of its type.

    Cancellation:
        As an error.
    """
    check_port(port)
    if host is not None:
        check_kind("host", host, str, bytes)
    size = backlog_size(backlog)
    options = keepalive_options(keepalive)
    if reuse_port:
        if not hasattr(socket, "SO_REUSEPORT"):
            raise ValueError("reuse_port: this system has no SO_REUSEPORT")
        options.append((socket.SOL_SOCKET, socket.SO_REUSEPORT, 1))
    places = await _places(host, port)
    for _ in range(1, PORT_ATTEMPTS):
        try:
            return await _listen_on_all(places, size, options)
        except OSError as error:
            # Another program has the port that was chosen, on another address.
            if port != 0 or error.errno != errno.EADDRINUSE:
                raise
    return await _listen_on_all(places, size, options)


def address_of(listener: trio.abc.Listener[trio.abc.Stream]) -> Address | None:
    """Return where a listener listens, if it is a socket."""
    if isinstance(listener, trio.SocketListener):
        return from_sockaddr(listener.socket.family, listener.socket.getsockname())
    return None


def backlog_size(backlog: int | None) -> int:
    """Return what to give to listen(2).

    Raises:
        ValueError: it is less than 1, with which some systems accept nobody.
        TypeError: it is no integer.
    """
    if backlog is None:
        return MAX_BACKLOG
    check_integer("backlog", backlog)
    if backlog < 1:
        raise ValueError(f"backlog must be at least 1, not {backlog}")
    return min(backlog, MAX_BACKLOG)


async def _places(host: str | bytes | None, port: int) -> list[Place]:
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # Each once: where a hosts file gives a name the same address twice, so does this.
    return list(
        dict.fromkeys((family, kind, proto, to) for family, kind, proto, _, to in found)
    )


async def _listen_on_all(
    places: list[Place], backlog: int, options: list[SocketOption]
) -> list[trio.SocketListener]:
    listeners: list[trio.SocketListener] = []
    missing: list[OSError] = []
    with ExitStack() as on_failure:
        for place in places:
            try:
                sock = await _listen_on(
                    _with_the_port_of(listeners, place), backlog, options
                )
            except OSError as error:
                if not _says_that_the_family_is_missing(place[0], error):
                    raise
                missing.append(error)
                continue
            on_failure.callback(sock.close)
            listeners.append(trio.SocketListener(sock))
        if not listeners:
            raise missing[0]
        on_failure.pop_all()
    return listeners


def _with_the_port_of(listeners: list[trio.SocketListener], place: Place) -> Place:
    """With port 0, what the system chose for the first one is for all."""
    if not listeners:
        return place
    family, kind, proto, (host, _, *rest) = place
    return family, kind, proto, (host, _port_of(listeners[0]), *rest)


def _port_of(listener: trio.SocketListener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port


def _says_that_the_family_is_missing(family: int, error: OSError) -> bool:
    """Tell "this system has no IPv6" from "this address cannot be had".

    A kernel without IPv6 makes no such sockets. One where it is switched off makes
    them, but has not even ``::1``, which may still be in its hosts file.
    """
    return error.errno == errno.EAFNOSUPPORT or (
        family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL
    )


async def _listen_on(
    place: Place, backlog: int, options: list[SocketOption]
) -> trio.socket.SocketType:
    family, kind, proto, to = place
    try:
        with ExitStack() as on_failure:
            sock = trio.socket.socket(family, kind, proto)
            on_failure.callback(sock.close)
            _set_options(sock, options)
            await sock.bind(to)
            sock.listen(backlog)
            on_failure.pop_all()
            return sock
    except OSError as error:
        where = from_sockaddr(family, to) or to
        text = f"cannot listen on {where}: {error.strerror}"
        raise OSError(error.errno, text) from error


def _set_options(sock: trio.socket.SocketType, options: list[SocketOption]) -> None:
    if sys.platform == "win32":
        # There, SO_REUSEADDR lets any program take the port from under this one.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        # So that a restart needs not wait until old connections leave TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        # IPv4 has a socket of its own.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for level, option, value in options:
        sock.setsockopt(level, option, value)
