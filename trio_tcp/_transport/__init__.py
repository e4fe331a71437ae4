"""One byte pipe under a connection: the seam between messages and the network.

A connection reads, writes and closes through a `Transport` and knows nothing else of
what is below. `make_transport` picks one: `SocketTransport` for real sockets,
`StreamTransport` for any other `trio.abc.Stream`; `TlsTransport` goes over either. To
add one: a file here that has the methods of `Transport`, and a line in
`make_transport`. `make_acceptor` does the same for listeners. How a real socket waits,
by itself or with many others, is chosen in ``_poller.py``.
"""

from __future__ import annotations

import socket

import trio

from trio_tcp._transport._acceptor import Acceptor, SocketAcceptor, StreamAcceptor
from trio_tcp._transport._as_stream import TransportStream
from trio_tcp._transport._poller import current_poller
from trio_tcp._transport._socket import SocketTransport
from trio_tcp._transport._stream import StreamTransport
from trio_tcp._transport._tls import TlsTransport, is_server_context
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._transport import READ_BYTES, Doze, Transport

__all__ = [
    "READ_BYTES",
    "Acceptor",
    "Doze",
    "TlsInfo",
    "TlsTransport",
    "Transport",
    "is_server_context",
    "make_acceptor",
    "make_transport",
]


def make_transport(stream: trio.abc.Stream) -> Transport:
    """Wrap a stream, of which the transport is the owner from now on."""
    if isinstance(stream, TransportStream) and (transport := stream.take()):
        return transport
    # A custom socket factory (trio.socket.set_custom_socket_factory) makes sockets
    # that have no descriptor: only Trio's own class is sure to hold a real one.
    if isinstance(stream, trio.SocketStream) and _is_direct(stream.socket):
        trios = stream.socket
        sock = socket.socket(trios.family, trios.type, trios.proto, trios.detach())
        # It is non-blocking already, but socket.setdefaulttimeout may have made Python
        # believe otherwise, and wait.
        sock.setblocking(False)
        return SocketTransport(sock)
    return StreamTransport(stream)


def make_acceptor(listener: trio.abc.Listener[trio.abc.Stream]) -> Acceptor:
    """Make what accepts from a listener, as transports."""
    if isinstance(listener, trio.SocketListener) and _is_direct(listener.socket):
        return SocketAcceptor(listener)
    return StreamAcceptor(listener, make_transport)


def _is_direct(sock: trio.socket.SocketType) -> bool:
    """Say whether a socket is to be used directly."""
    is_trios = type(sock).__module__.partition(".")[0] == "trio"
    return is_trios and current_poller().allows_sockets
