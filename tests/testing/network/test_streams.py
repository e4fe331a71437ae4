"""Streams over virtual sockets are streams, as Trio's own suite defines them."""

from __future__ import annotations

import trio
import trio.testing
from trio.testing import MockClock

from trio_tcp.testing.network import VirtualNetwork


async def make_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen()
    near = trio.socket.socket()
    await near.connect(listener.getsockname())
    far, _ = await listener.accept()
    listener.close()
    return trio.SocketStream(near), trio.SocketStream(far)


async def make_clogged_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Make a pair that takes no more, in either direction."""
    near, far = await make_pair()
    for stream in (near, far):
        for size in (65536, 1):  # acknowledgments make a little room once more
            with trio.move_on_after(1):
                while True:
                    await stream.socket.send(bytes(size))
    return near, far


async def test_they_are_half_closeable_streams(autojump_clock: MockClock) -> None:
    async with VirtualNetwork():
        await trio.testing.check_half_closeable_stream(make_pair, make_clogged_pair)
