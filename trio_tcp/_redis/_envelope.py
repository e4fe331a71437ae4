r"""What is published in Redis, and what is kept there: a payload, and what it is.

On a channel, a line of ASCII goes before the payload::

    p <key>\n                                      without a history
    h <epoch> <sequence> <count> <key>\n           with one

In a stream, these are the fields of an entry, and the sequence is its id. Payloads are
the user's bytes, unchanged.
"""

from __future__ import annotations

from typing import Any

from trio_tcp._backplane import Numbered, Plain
from trio_tcp._hub import Position

__all__ = ["opened", "sealed", "unpacked"]


def sealed(key: str, payload: bytes) -> bytes:
    """Return what is published without a history. The others are made by a script."""
    return b"p %s\n%s" % (key.encode(), payload)


def opened(topic: str, data: bytes) -> Plain | Numbered | None:
    """Return the publication; None if somebody else has put something there."""
    line, _, payload = data.partition(b"\n")
    try:
        match line.decode("ascii").split(" "):
            case ["p", key]:
                return Plain(topic, key, payload)
            case ["h", epoch, sequence, count, key]:
                position = Position(epoch, int(sequence))
                return Numbered(topic, position, int(count), key, payload)
            case _:
                return None
    except ValueError:
        return None


def unpacked(topic: str, entry: tuple[bytes, list[Any]]) -> Numbered:
    """Return the publication that an entry of a stream is.

    Raises:
        LookupError, ValueError: somebody else has put something there.
    """
    number, flat = entry
    fields: dict[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    position = Position(fields[b"epoch"].decode(), int(number.partition(b"-")[0]))
    key = fields[b"key"].decode()
    return Numbered(topic, position, int(fields[b"count"]), key, fields[b"payload"])
