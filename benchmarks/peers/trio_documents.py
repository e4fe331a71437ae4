# lab: trio_plain for=lines args=lines
# lab: trio_plain for=json args=json
"""Echo of lines by hand on Trio: of text, or of JSON that is read and written again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import msgspec
import trio

MOST_BYTES = 64 << 10


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
    return write_note(read_note(line))


async def echo(answer: Callable[[bytes], bytes], stream: trio.SocketStream) -> None:
    """Send every line back."""
    unread = bytearray()
    searched = 0
    with contextlib.suppress(trio.BrokenResourceError, ValueError):
        async for chunk in stream:
            unread += chunk
            while (end := unread.find(b"\n", searched)) >= 0:
                line = bytes(unread[:end])
                del unread[: end + 1]
                searched = 0
                await stream.send_all(answer(line) + b"\n")
            searched = len(unread)
            if searched > MOST_BYTES:
                return


async def main(port: int, answer: Callable[[bytes], bytes]) -> None:
    """Serve until the process is ended."""

    async def handle(stream: trio.SocketStream) -> None:
        await echo(answer, stream)

    await trio.serve_tcp(handle, port, host="127.0.0.1")


trio.run(main, int(sys.argv[1]), as_json if sys.argv[2] == "json" else as_text)
