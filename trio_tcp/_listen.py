"""Opening the sockets on which a server listens."""

from __future__ import annotations

import errno
from typing import Final

import trio

from trio_tcp._address import Address, TcpAddress, from_sockaddr

__all__ = ["address_of", "open_tcp_listeners", "open_unix_listener"]

PORT_ATTEMPTS: Final = 10


async def open_tcp_listeners(
    port: int, *, host: str | bytes | None, backlog: int | None
) -> list[trio.SocketListener]:
    """Listen over TCP; as `trio.open_tcp_listeners`, but on one port.

    With port 0 and several addresses (IPv4 and IPv6), Trio lets the system choose for
    each; clients need one that is the same for all. So the first choice is tried on
    the others, and where another program has it, another choice.

    Raises:
        OSError: it cannot listen there.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
        ports = [
            a.port for a in map(address_of, listeners) if isinstance(a, TcpAddress)
        ]
        if len(set(ports)) <= 1:
            return listeners
        for listener in listeners:
            await trio.aclose_forcefully(listener)
        try:
            return await trio.open_tcp_listeners(ports[0], host=host, backlog=backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == PORT_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


async def open_unix_listener(path: str, *, backlog: int | None) -> trio.SocketListener:
    """Listen on a Unix socket at a path that does not exist yet.

    Raises:
        OSError: it cannot listen there.
    """
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.bind(path)
        # The kernel takes the minimum of this and net.core.somaxconn (listen(2)).
        sock.listen(0xFFFF if backlog is None else backlog)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)


def address_of(listener: trio.abc.Listener[trio.abc.Stream]) -> Address | None:
    """Return where a listener listens, if it is a socket."""
    if isinstance(listener, trio.SocketListener):
        return from_sockaddr(listener.socket.family, listener.socket.getsockname())
    return None
