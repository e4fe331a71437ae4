# lab: asyncio_protocol args=asyncio
# lab: uvloop_protocol args=uvloop
# lab: asyncio_protocol for=broadcast args=asyncio,broadcast
# lab: uvloop_protocol for=broadcast args=uvloop,broadcast
"""Framed echo or broadcast by a protocol of asyncio, called back; on either loop."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20

members: dict[asyncio.Transport, None] = {}


class Echo(asyncio.Protocol):
    """Cut what comes into messages, and send each back."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # Those of uvloop are transports, but no instances of the class.
        self.transport = cast("asyncio.Transport", transport)
        self.unread = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
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
            self.message_received(bytes(unread[begin + LENGTH.size : end]))
            begin = end
        del unread[:begin]

    def message_received(self, message: bytes) -> None:
        """Send one message back."""
        self.transport.write(LENGTH.pack(len(message)) + message)

    def pause_writing(self) -> None:
        """Take no more requests while the client does not read the replies."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self.transport.resume_reading()


class Broadcast(Echo):
    """Send each message to all others, without a limit to what waits for them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be one of them."""
        super().connection_made(transport)
        members[self.transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Be gone."""
        del members[self.transport]

    def message_received(self, message: bytes) -> None:
        """Tell the others."""
        frame = LENGTH.pack(len(message)) + message
        for member in members:
            if member is not self.transport:
                member.write(frame)


async def main(port: int, protocol: type[Echo]) -> None:
    """Serve until the process is ended."""
    running = asyncio.get_running_loop()
    server = await running.create_server(protocol, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


_, port, loop, variant = [*sys.argv, ""][:4]
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port), Broadcast if variant == "broadcast" else Echo))
