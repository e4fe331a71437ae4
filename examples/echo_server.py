"""An echo server: every line that a client sends comes back to it.

    python examples/echo_server.py [PORT]

Talk to it with ``python examples/echo_client.py`` or with ``nc 127.0.0.1 8888``, from
as many terminals as you like. Ctrl-C ends it.
"""

import argparse
import logging
import sys

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send each line back; called for each client, in a task of its own."""
    async for line in connection:
        await connection.send(line)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Send every line back.")
    parser.add_argument("port", nargs="?", type=int, default=8888, help="0: any")
    port = parser.parse_args().port
    # At INFO the log says where the server listens, and what a client does wrong; at
    # DEBUG also who comes and goes.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio_tcp.run_server(echo, port, host="127.0.0.1", codec=codecs.Lines())


if __name__ == "__main__":
    main()
