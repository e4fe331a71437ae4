"""A key-value server: one plain function answers every request.

    python examples/key_value_server.py [PORT]

Talk to it with ``nc 127.0.0.1 8888``::

    set colour dark green
    get colour
    del colour

It answers each request in one line, in order, however many are sent ahead; Ctrl-C ends
it.
"""

import argparse
import logging
import sys

import trio_tcp
from trio_tcp import codecs


class Store:
    """Keys and values. A plain function is never interrupted: no lock is needed."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def answer(self, request: str) -> str:
        """Do what a request says, and return what to reply."""
        match request.split(" ", 2):
            case ["get", key]:
                return self.values[key]
            case ["set", key, value]:
                self.values[key] = value
                return "ok"
            case ["del", key]:
                del self.values[key]
                return "ok"
            case _:
                raise ValueError(request)


def explain(error: Exception, _request: str | None) -> str:
    """Return what to reply instead."""
    match error:
        case KeyError():
            return "error: no such key"
        case ValueError():
            return "error: it is get KEY, set KEY VALUE, or del KEY"
        case _:
            raise error  # it ends the connection, and is in the log


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Keep values.")
    parser.add_argument("port", nargs="?", type=int, default=8888, help="0: any")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    handler = trio_tcp.respond(Store().answer, on_error=explain)
    trio_tcp.run_server(handler, port, host="127.0.0.1", codec=codecs.Lines())


if __name__ == "__main__":
    main()
