# lab: anyio_asyncio
"""Framed echo on AnyIO over asyncio, with its stream that reads so many bytes."""

from __future__ import annotations

import contextlib
import struct
import sys

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20

Gone = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError)


async def echo(stream: SocketStream) -> None:
    """Send every message back."""
    async with stream:
        reader = BufferedByteReceiveStream(stream)
        with contextlib.suppress(*Gone):
            while True:
                header = await reader.receive_exactly(LENGTH.size)
                (size,) = LENGTH.unpack(header)
                if size > MOST_BYTES:
                    return
                message = await reader.receive_exactly(size)
                await stream.send(header + message)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    listener = await anyio.create_tcp_listener(
        local_host="127.0.0.1", local_port=port, backlog=4096
    )
    await listener.serve(echo)


anyio.run(main, int(sys.argv[1]), backend="asyncio")
