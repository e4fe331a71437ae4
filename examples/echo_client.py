"""An echo client: sends lines to echo_server.py, and prints what comes back.

    python examples/echo_client.py [--host HOST] [--port PORT] [LINE ...]

Without lines it sends two of its own.
"""

import argparse
import sys

import trio

import trio_tcp
from trio_tcp import codecs


async def talk(host: str, port: int, lines: list[str]) -> None:
    """Send all lines, then read as many replies."""
    try:
        async with trio_tcp.connect_tcp(host, port, codec=codecs.Lines()) as connection:
            # Together: no reply has to arrive before the next line leaves.
            await connection.send_many(lines)
            for _ in lines:
                print(await connection.receive())
    except trio_tcp.TrioTcpError as error:
        sys.exit(f"echo_client: {error}")


def main() -> None:
    """Talk to the server once."""
    parser = argparse.ArgumentParser(description="Have lines echoed.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("lines", metavar="LINE", nargs="*")
    args = parser.parse_args()
    try:
        trio.run(talk, args.host, args.port, args.lines or ["hello", "how are you?"])
    except* KeyboardInterrupt:
        print("interrupted")


if __name__ == "__main__":
    main()
