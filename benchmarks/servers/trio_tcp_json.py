# lab: trio_tcp for=json
"""Echo of JSON documents, read into a class and written again."""

import sys

import attrs

import trio_tcp
from trio_tcp import codecs


@attrs.frozen
class Note:
    """What clients send.

    Attributes:
        client: who.
        text: what.
    """

    client: int
    text: str


async def echo(connection: trio_tcp.Connection[Note, Note]) -> None:
    """Send every document back."""
    async for note in connection:
        await connection.send(note)


trio_tcp.run_server(echo, int(sys.argv[1]), host="127.0.0.1", codec=codecs.Json(Note))
