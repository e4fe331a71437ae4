# lab: trio_tcp_hub for=broadcast
"""Broadcast by a hub: each message of a client goes to all who are attached."""

import sys

import trio_tcp
from trio_tcp import codecs

hub: trio_tcp.Hub[bytes] = trio_tcp.Hub()


async def relay(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Publish what one client says."""
    with hub.attach(connection, "room"):
        async for message in connection:
            await hub.publish("room", message)


trio_tcp.run_server(
    relay, int(sys.argv[1]), host="127.0.0.1", codec=codecs.LengthPrefixed()
)
