# lab: coredis for=requester
"""The client coredis, on Trio.

All tasks share one connection: its pool multiplexes commands that do not block.
"""

from __future__ import annotations

import sys

import coredis
import trio


async def ask_for_ever(client: coredis.Redis[bytes], key: bytes, value: bytes) -> None:
    """Be one of the tasks."""
    while True:
        reply = await client.get(key)
        if reply != value:
            sys.exit(f"a reply is wrong: {reply!r}")


async def main(port: int, tasks: int, key: bytes, value: bytes) -> None:
    """Ask until the process is ended."""
    async with coredis.Redis(host="127.0.0.1", port=port, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(ask_for_ever, client, key, value)


_, port, tasks, key, value = sys.argv
trio.run(main, int(port), int(tasks), key.encode(), value.encode())
