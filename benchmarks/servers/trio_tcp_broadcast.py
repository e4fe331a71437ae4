# lab: trio_tcp for=broadcast
"""Broadcast: each message of a client goes to all others."""

import sys

import trio_tcp
from trio_tcp import codecs

members: dict[trio_tcp.Connection[bytes, bytes], None] = {}


async def relay(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Tell the others what one client says."""
    members[connection] = None
    try:
        async for message in connection:
            others = [member for member in members if member is not connection]
            await trio_tcp.broadcast(message, others)
    finally:
        del members[connection]


trio_tcp.run_server(
    relay, int(sys.argv[1]), host="127.0.0.1", codec=codecs.LengthPrefixed()
)
