# lab: trio_tcp_general only=pp64,pipe,bulk,idle
"""Framed echo over the transport for any stream, instead of the one for sockets."""

import os
import sys

# Before the import, which reads it.
os.environ["TRIO_TCP_TRANSPORT"] = "general"

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


trio_tcp.run_server(
    echo, int(sys.argv[1]), host="127.0.0.1", codec=codecs.LengthPrefixed()
)
