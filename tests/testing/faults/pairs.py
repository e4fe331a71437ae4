"""Connections between two hosts of a virtual network, with both ends in hand."""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from typing import Final, TypeVar

import attrs
import trio

from trio_tcp.testing.network import VirtualNetwork

__all__ = [
    "SEEDS",
    "Pair",
    "connect",
    "make_socket",
    "receive_all",
    "receive_exactly",
    "seconds_of",
]

SEEDS: Final = 3
"""Enough for what depends on no luck, with the tasks in several orders."""

PORT = 80
T = TypeVar("T")


@attrs.frozen
class Pair:
    """A connection from host a to host b.

    Attributes:
        near: The end on host a.
        far: The end on host b.
    """

    near: trio.SocketStream
    far: trio.SocketStream

    async def check(self) -> None:
        """Send something both ways, and see it arrive whole."""
        await exchange(self.near, self.far)
        await exchange(self.far, self.near)


async def exchange(one: trio.SocketStream, other: trio.SocketStream) -> None:
    message = bytes(range(256))
    await one.send_all(message)
    assert await receive_exactly(other, len(message)) == message


async def receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        some = await stream.receive_some(size - len(received))
        assert some, f"the end comes after {len(received)} of {size} bytes"
        received += some
    return bytes(received)


async def receive_all(stream: trio.SocketStream) -> bytes:
    return b"".join([some async for some in stream])


async def connect(
    net: VirtualNetwork, a: str = "a", b: str = "b", port: int = PORT
) -> Pair:
    """Connect one host to another.

    Raises:
        OSError: As the system call does.
    """
    near = await net.host(a).run(make_socket)
    listener = await net.host(b).run(make_socket)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await listener.bind(("0.0.0.0", port))
        listener.listen()
        await net.host(a).run(near.connect, (b, port))
        far, _ = await listener.accept()
    await net.settle()
    return Pair(trio.SocketStream(near), trio.SocketStream(far))


async def make_socket() -> trio.socket.SocketType:
    return trio.socket.socket()


async def seconds_of(call: Awaitable[object]) -> float:
    """Say how many virtual seconds something takes."""
    start = trio.current_time()
    await call
    return round(trio.current_time() - start, 9)
