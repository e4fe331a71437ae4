"""How clients connect: one after the other, each served before the next one comes."""

from __future__ import annotations

import socket
import ssl

from benchmarks._workloads import Kind
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import SILENCE

__all__ = ["HOST", "connect", "exchange"]

HOST = "127.0.0.1"


def connect(port: int, kind: Kind) -> socket.socket:
    """Connect a blocking socket, with TLS if the server wants it."""
    sock = socket.create_connection((HOST, port), SILENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _trusting().wrap_socket(sock) if kind == "tls" else sock


def exchange(sock: socket.socket, frame: bytes) -> None:
    """Send one message over a blocking socket, and wait until it has come back.

    So the server is known to have accepted this client: a backlog never overflows.

    Raises:
        LoadError: something else has come back, or nothing.
    """
    sock.sendall(frame)
    received = b""
    while len(received) < len(frame):
        try:
            chunk = sock.recv(len(frame) - len(received))
        except TimeoutError:
            raise LoadError(f"no reply in {SILENCE:.0f} s") from None
        if not chunk:
            raise LoadError("the server has closed a connection")
        received += chunk
    if received != frame:
        raise LoadError("a reply is wrong")


def _trusting() -> ssl.SSLContext:
    # The server makes its certificate when it starts; nobody here could check it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
