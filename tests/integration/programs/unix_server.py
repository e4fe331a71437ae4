"""Serve echo at the path that is given, and say so."""

from __future__ import annotations

import sys

import trio

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every line."""
    async for line in connection:
        await connection.send(line)


async def main(path: str) -> None:
    """Listen, and serve until killed."""
    async with trio_tcp.open_unix_listener(path) as listener:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await trio_tcp.serve_listeners(echo, [listener], codec=codecs.Lines())


trio.run(main, sys.argv[1])
