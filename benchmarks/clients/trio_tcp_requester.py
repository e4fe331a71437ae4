# lab: trio_tcp for=requester
"""A requester of this package, with the client's codec of the small Redis.

All tasks share one connection, over which at most 100 requests are in flight, as by
default.
"""

from __future__ import annotations

import sys
from functools import partial

import trio

import trio_tcp
from examples.key_value.client import Requester
from examples.key_value.resp import CLIENT


async def ask_for_ever(requester: Requester, key: bytes, value: bytes) -> None:
    """Be one of the tasks."""
    while True:
        reply = await requester.request([b"GET", key])
        if reply != value:
            sys.exit(f"a reply is wrong: {reply!r}")


async def main(port: int, tasks: int, key: bytes, value: bytes) -> None:
    """Ask until the process is ended."""
    connect = partial(trio_tcp.connect_tcp, "127.0.0.1", port, codec=CLIENT)
    async with trio_tcp.open_requester(connect) as requester:
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(ask_for_ever, requester, key, value)


_, port, tasks, key, value = sys.argv
trio.run(main, int(port), int(tasks), key.encode(), value.encode())
