# lab: trio_plain for=broadcast
"""Broadcast by hand on Trio: each client has a queue, and a task that writes."""

from __future__ import annotations

import contextlib
import struct
import sys

import trio

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20
QUEUE = 64

members: dict[trio.SocketStream, trio.MemorySendChannel[bytes]] = {}


async def write(
    stream: trio.SocketStream, queue: trio.MemoryReceiveChannel[bytes]
) -> None:
    """Send one client what the others say."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for frame in queue:
            await stream.send_all(frame)


async def tell_others(frame: bytes, speaker: trio.SocketStream) -> None:
    """Put something into all other queues, and wait for those that are full."""
    for member, queue in list(members.items()):
        if member is speaker:
            continue
        try:
            queue.send_nowait(frame)
        except trio.WouldBlock:
            await queue.send(frame)


async def relay(stream: trio.SocketStream) -> None:
    """Tell the others what one client says."""
    unread = bytearray()
    async for chunk in stream:
        unread += chunk
        while len(unread) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(unread)[0]
            if end > MOST_BYTES:
                return
            if len(unread) < end:
                break
            frame = bytes(unread[:end])
            del unread[:end]
            await tell_others(frame, stream)


async def handle(stream: trio.SocketStream) -> None:
    """Serve one client."""
    sending, receiving = trio.open_memory_channel[bytes](QUEUE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, stream, receiving)
        members[stream] = sending
        try:
            with contextlib.suppress(trio.BrokenResourceError):
                await relay(stream)
        finally:
            del members[stream]
            nursery.cancel_scope.cancel()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    await trio.serve_tcp(handle, port, host="127.0.0.1")


trio.run(main, int(sys.argv[1]))
