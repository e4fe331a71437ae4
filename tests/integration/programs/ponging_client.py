"""A client that answers each PING of its server, and prints what else it gets."""

from __future__ import annotations

import sys

import trio

import trio_tcp
from trio_tcp import codecs


async def main() -> None:
    """Answer until the server's end."""
    port = int(sys.argv[1])
    codec = codecs.Lines()
    async with trio_tcp.connect_tcp("127.0.0.1", port, codec=codec) as connection:
        async for line in connection:
            if line == "PING":
                await connection.send("PONG")
            else:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()


trio.run(main)
