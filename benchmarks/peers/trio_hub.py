# lab: trio_plain for=hub
"""One to many by hand on Trio: each has a queue, and misses what it has no room for."""

from __future__ import annotations

import contextlib
import struct
import sys

import trio

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20
QUEUE = 64

listeners: dict[trio.SocketStream, trio.MemorySendChannel[bytes]] = {}


async def write(
    stream: trio.SocketStream, queue: trio.MemoryReceiveChannel[bytes]
) -> None:
    """Send one client what the others say."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for frame in queue:
            await stream.send_all(frame)


async def relay(stream: trio.SocketStream) -> None:
    """Let one client listen until it says something, and publish that."""
    unread = bytearray()
    async for chunk in stream:
        listeners.pop(stream, None)
        unread += chunk
        while len(unread) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(unread)[0]
            if end > MOST_BYTES:
                return
            if len(unread) < end:
                break
            frame = bytes(unread[:end])
            del unread[:end]
            for queue in listeners.values():
                with contextlib.suppress(trio.WouldBlock):
                    queue.send_nowait(frame)
            await trio.lowlevel.checkpoint()


async def handle(stream: trio.SocketStream) -> None:
    """Serve one client."""
    sending, receiving = trio.open_memory_channel[bytes](QUEUE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, stream, receiving)
        listeners[stream] = sending
        try:
            with contextlib.suppress(trio.BrokenResourceError):
                await relay(stream)
        finally:
            listeners.pop(stream, None)
            nursery.cancel_scope.cancel()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    await trio.serve_tcp(handle, port, host="127.0.0.1")


trio.run(main, int(sys.argv[1]))
