# lab: redis_py for=requester
"""The client redis-py on asyncio, with hiredis as its parser.

A connection of it is used by one task at a time. So, as its documentation says for many
tasks, there is a pool that lets tasks wait, of 50 connections as by default.
"""

from __future__ import annotations

import asyncio
import sys

from redis.asyncio import BlockingConnectionPool, Redis


async def ask_for_ever(client: Redis, key: bytes, value: bytes) -> None:
    """Be one of the tasks."""
    while True:
        reply = await client.get(key)
        if reply != value:
            sys.exit(f"a reply is wrong: {reply!r}")


async def main(port: int, tasks: int, key: bytes, value: bytes) -> None:
    """Ask until the process is ended."""
    pool = BlockingConnectionPool(host="127.0.0.1", port=port, timeout=None)
    async with Redis.from_pool(pool) as client, asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(ask_for_ever(client, key, value))


_, port, tasks, key, value = sys.argv
asyncio.run(main(int(port), int(tasks), key.encode(), value.encode()))
