# lab: asyncio_streams for=hub args=asyncio
# lab: uvloop_streams for=hub args=uvloop
"""One to many on the streams of asyncio: who does not read misses something."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20
MOST_WAITING = 64 << 10

listeners: dict[asyncio.StreamWriter, None] = {}


def publish(frame: bytes) -> None:
    """Tell all who have room."""
    for writer in listeners:
        if writer.transport.get_write_buffer_size() < MOST_WAITING:
            writer.write(frame)


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let one client listen until it says something, and publish that."""
    listeners[writer] = None
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            header = await reader.readexactly(LENGTH.size)
            (size,) = LENGTH.unpack(header)
            if size > MOST_BYTES:
                break
            message = await reader.readexactly(size)
            listeners.pop(writer, None)
            publish(header + message)
    listeners.pop(writer, None)
    writer.close()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(relay, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


_, port, loop = sys.argv
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port)))
