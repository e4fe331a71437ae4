"""A small Redis: a store that the clients and tools of Redis take for one.

    python -m examples.key_value [PORT]

Talk to it with ``redis-cli -p 8888``, from another terminal with
``python -m examples.key_value.client``, or by hand with ``nc 127.0.0.1 8888``. Ctrl-C
ends it.
"""

import argparse
import logging
import sys

import trio

from examples.key_value.server import serve


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Keep values.")
    parser.add_argument("port", nargs="?", type=int, default=8888, help="0: any")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio.run(serve, port)


if __name__ == "__main__":
    main()
