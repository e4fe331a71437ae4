"""What programs do with a connection that may have to wait: send and receive.

With Trio's rules for its own sockets: a checkpoint in each call, one task in each
direction, and whoever waits is told when another task closes the socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_tcp.testing.network._os_error import os_error

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = [
    "closed_meanwhile",
    "receive",
    "receive_nothing",
    "send",
    "size_for",
    "wait_connected",
    "wait_readable",
    "wait_writable",
]


async def receive(end: TcpEnd, size: int, peek: bool) -> bytes:
    """Wait for bytes, and take some; none at the end."""
    if end.can_read():
        data = end.read(size, peek)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return data
    while True:
        await end.receiving.readable.wait()
        if end.is_orphan:
            raise closed_meanwhile()
        if end.can_read():
            return end.read(size, peek)


async def receive_nothing(size: int) -> bytes:
    """Take no bytes, without asking the system: so Python does, even when closed."""
    if size < 0:
        raise ValueError("negative buffersize in recv")
    await trio.lowlevel.checkpoint()
    return b""


def size_for(view: memoryview, size: int) -> int:
    """Say how many bytes are asked for that go into a buffer: 0 is all it has room for.

    Raises:
        ValueError: it has no room for so many.
    """
    if size > len(view):
        raise ValueError("buffer too small for requested bytes")
    return size or len(view)


async def send(end: TcpEnd, data: memoryview) -> int:
    """Wait for room, and have some of the bytes sent."""
    sent = end.write(data)
    if sent or not data:
        await trio.lowlevel.cancel_shielded_checkpoint()
        return sent
    while not sent:
        await end.sending.room.wait()
        if end.is_orphan:
            raise closed_meanwhile()
        if end.can_write():
            sent = end.write(data)
    return sent


async def wait_connected(end: TcpEnd) -> None:
    """Wait for the end of the handshake, and have its error raised."""
    while end.is_connecting:
        await end.sending.room.wait()
        if end.is_orphan:
            raise closed_meanwhile()
    if error := end.take_error():
        raise os_error(error, f"connecting to {end.remote}")


async def wait_readable(end: TcpEnd) -> None:
    """Wait until `receive` would not wait."""
    while not end.can_read():
        await end.receiving.readable.wait()
        if end.is_orphan:
            raise closed_meanwhile()


async def wait_writable(end: TcpEnd) -> None:
    """Wait until `send` would not wait."""
    while not end.can_write():
        await end.sending.room.wait()
        if end.is_orphan:
            raise closed_meanwhile()


def closed_meanwhile() -> trio.ClosedResourceError:
    """Make the error for a task that waits on a socket which another task closes."""
    return trio.ClosedResourceError("another task closed this socket")
