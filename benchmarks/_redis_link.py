"""A connection to a real Redis, to prepare it and to ask how many requests it had."""

from __future__ import annotations

import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

__all__ = ["RedisLink", "linked"]

HOST: Final = "127.0.0.1"
SILENCE: Final = 10.0
"""Seconds after which no reply is waited for."""
GET_CALLS: Final = re.compile(rb"^cmdstat_get:calls=(\d+),", re.MULTILINE)


@contextmanager
def linked(port: int) -> Generator[RedisLink, None, None]:
    """Be connected to a Redis during the block."""
    with socket.create_connection((HOST, port), SILENCE) as sock:
        yield RedisLink(sock)


@final
class RedisLink:
    """Has commands done, one at a time.

    Args:
        sock: connected to Redis, and blocking.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._replies = sock.makefile("rb")

    def ask(self, command: str) -> bytes:
        """Have a command done whose reply is bytes or one line, and return that."""
        self._sock.sendall(command.encode() + b"\r\n")
        line = self._replies.readline().removesuffix(b"\r\n")
        if not line.startswith(b"$"):
            return line
        size = int(line[1:])
        return self._replies.read(size + len(b"\r\n"))[:size]

    def gets(self) -> int:
        """Count all GETs that it has had since it was started."""
        found = GET_CALLS.search(self.ask("INFO commandstats"))
        return int(found[1]) if found else 0
