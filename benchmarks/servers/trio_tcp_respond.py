# lab: trio_tcp_respond
"""Framed echo by a plain function, which runs where the bytes arrive."""

import sys

import trio_tcp
from trio_tcp import codecs


def echo(message: bytes) -> bytes:
    """Answer with the message itself."""
    return message


trio_tcp.run_server(
    trio_tcp.respond(echo),
    int(sys.argv[1]),
    host="127.0.0.1",
    codec=codecs.LengthPrefixed(),
)
