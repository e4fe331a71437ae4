# lab: trio_tcp_hub for=broadcast
# lab: trio_tcp for=hub
"""Broadcast by a hub: what one client says goes to all who have said nothing."""

import math
import sys

import trio_tcp
from trio_tcp import codecs

hub: trio_tcp.Hub[bytes] = trio_tcp.Hub()


async def relay(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Let one client listen until it says something, and publish that."""
    with hub.attach(connection, "room"):
        message = await connection.receive()
    await hub.publish("room", message)
    async for message in connection:
        await hub.publish("room", message)


trio_tcp.run_server(
    relay,
    int(sys.argv[1]),
    host="127.0.0.1",
    codec=codecs.LengthPrefixed(),
    limits=trio_tcp.Limits(max_connections=20_000),
    timeouts=trio_tcp.Timeouts(first_message=math.inf),  # listeners say nothing
)
