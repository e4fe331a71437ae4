"""Messages that say whose they are and which, so that nothing can go wrong unseen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import trio_tcp
from trio_tcp import codecs
from trio_tcp.codecs import Codec

CODEC: Codec[bytes, bytes] = codecs.LengthPrefixed()
Bytes = trio_tcp.Connection[bytes, bytes]


def message(sender: str, number: int, *, size: int = 1) -> bytes:
    """Make a sender's message of a number.

    Args:
        sender: Who sends it. No two connections have the same.
        number: Which one it is, from 0 on.
        size: How long it is: up to 8 times that, and times its own name.
    """
    head = f"{sender}#{number};".encode()
    return head * (size * (1 + zlib.crc32(head) % 8))


def sender_of(received: bytes) -> str:
    """Say who has sent a message."""
    return received.partition(b"#")[0].decode()


def check_in_order(received: Sequence[bytes], *, size: int = 1) -> None:
    """Check that these are the first messages of one sender: whole, in order, once."""
    if received:
        sender = sender_of(received[0])
        expected = [message(sender, i, size=size) for i in range(len(received))]
        assert list(received) == expected
