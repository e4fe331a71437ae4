# lab: asyncio_streams for=lines args=asyncio,lines
# lab: uvloop_streams for=lines args=uvloop,lines
# lab: asyncio_streams for=json args=asyncio,json
# lab: uvloop_streams for=json args=uvloop,json
"""Echo of lines on the streams of asyncio: of text, or of JSON; on either loop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

import msgspec


class Note(msgspec.Struct):
    """What clients send.

    Attributes:
        client: who.
        text: what.
    """

    client: int
    text: str


read_note = msgspec.json.Decoder(Note).decode
write_note = msgspec.json.Encoder().encode


def as_text(line: bytes) -> bytes:
    """Read a line as text, and write it again."""
    return line.decode().encode()


def as_json(line: bytes) -> bytes:
    """Read a line as JSON, and write it again."""
    return write_note(read_note(line)) + b"\n"


async def echo(
    answer: Callable[[bytes], bytes],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Send every line back."""
    with contextlib.suppress(ConnectionError, ValueError):
        while line := await reader.readline():
            writer.write(answer(line))
            await writer.drain()
    writer.close()


async def main(port: int, answer: Callable[[bytes], bytes]) -> None:
    """Serve until the process is ended."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await echo(answer, reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


_, port, loop, variant = sys.argv
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port), as_json if variant == "json" else as_text))
