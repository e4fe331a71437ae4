"""A connection over a real socket, and the raw socket at its other end."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import LOOPBACK
from trio_tcp import codecs

Binary: TypeAlias = trio_tcp.Connection[bytes, bytes]

LINES: Final = codecs.Delimited(b"\n", max_bytes=1 << 20)
PATIENCE: Final = 40
"""Seconds after which something hangs."""


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Connect two blocking sockets over TCP."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return accepted, client


def stream_of(sock: socket.socket) -> trio.SocketStream:
    """Make a stream of a socket."""
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Binary, socket.socket], None]:
    """Open a connection that has waited for its peer once, so all is set up."""
    ours, peer = tcp_pair()
    with trio.fail_after(PATIENCE), peer:
        async with trio_tcp.open_connection(stream_of(ours), codec=LINES) as connection:
            await wait_and_receive(connection, peer)
            try:
                yield connection, peer
            finally:
                connection.abort()


async def wait_and_receive(connection: Binary, peer: socket.socket) -> None:
    """Wait for a message in earnest."""
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            assert await connection.receive() == b"first"

        await wait_all_tasks_blocked()
        peer.sendall(b"first\n")
