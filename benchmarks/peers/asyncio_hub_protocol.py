# lab: asyncio_protocol for=hub args=asyncio
# lab: uvloop_protocol for=hub args=uvloop
"""One to many by a protocol of asyncio: who does not read misses something."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20

listeners: dict[Listener, None] = {}


class Listener(asyncio.Protocol):
    """Listens until it says something."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # Those of uvloop are transports, but no instances of the class.
        self.transport = cast("asyncio.Transport", transport)
        self.unread = bytearray()
        self.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be gone."""
        self.pause_writing()

    def pause_writing(self) -> None:
        """Leave out what comes while 64 KiB wait, the default of asyncio."""
        listeners.pop(self, None)

    def resume_writing(self) -> None:
        """Listen again."""
        listeners[self] = None

    def data_received(self, data: bytes) -> None:
        """Publish each message that is whole."""
        listeners.pop(self, None)
        unread = self.unread
        unread += data
        begin, received = 0, len(unread)
        while received - begin >= LENGTH.size:
            (size,) = LENGTH.unpack_from(unread, begin)
            if size > MOST_BYTES:
                self.transport.abort()
                return
            end = begin + LENGTH.size + size
            if end > received:
                break
            frame = bytes(unread[begin:end])
            # Who has no room any more leaves while it is told.
            for listener in list(listeners):
                listener.transport.write(frame)
            begin = end
        del unread[:begin]


async def main(port: int) -> None:
    """Serve until the process is ended."""
    running = asyncio.get_running_loop()
    server = await running.create_server(Listener, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


_, port, loop = sys.argv
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port)))
