# lab: trio_tcp for=lines
"""Echo of lines of text."""

import sys

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send every line back."""
    async for line in connection:
        await connection.send(line)


trio_tcp.run_server(echo, int(sys.argv[1]), host="127.0.0.1", codec=codecs.Lines())
