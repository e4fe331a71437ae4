# lab: trio_tcp
"""Framed echo as a user of this package writes it: an async handler."""

import sys

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


trio_tcp.run_server(
    echo, int(sys.argv[1]), host="127.0.0.1", codec=codecs.LengthPrefixed()
)
