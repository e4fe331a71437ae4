"""Bombs: messages within every limit that cost far more than they weigh.

What MessagePack and JSON are read into takes up to 80 times the room of the bytes.
Their nesting takes stack. A map whose keys have one hash takes the square of its size
to fill: the hashes of text and bytes are salted, those of arrays of numbers are not, so
that anybody can compute 50,000 such keys. Only a type without them refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice, repeat
from typing import Any, Final

import trio

import trio_tcp
from tests.integration.attacks._attack import Attack, Service, Visit, reset
from trio_tcp import codecs

__all__ = ["ATTACKS", "colliding_pairs"]

KIB: Final = 1 << 10

WORD: Final = (1 << 64) - 1
# Of CPython's hash of tuples (Objects/tupleobject.c), which is xxHash's.
PRIME_1: Final = 11400714785074694791
PRIME_2: Final = 14029467366897019727
PRIME_5: Final = 2870177450012600261
LARGEST: Final = (1 << 61) - 1
"""A smaller number is its own hash."""


def colliding_pairs() -> Iterator[tuple[int, int]]:
    """Make pairs of numbers that all have the hash of ``(5, 7)``."""
    wanted = _mixed(_mixed(PRIME_5, 5), 7)
    unrotated = _rotated(wanted * pow(PRIME_1, -1, 1 << 64) & WORD, 33)
    inverse = pow(PRIME_2, -1, 1 << 64)
    for first in count(1):
        second = (unrotated - _mixed(PRIME_5, first)) * inverse & WORD
        second -= (second >> 63) << 64
        if abs(second) < LARGEST and second != -1:
            yield first, second


def _mixed(sum_: int, hash_: int) -> int:
    return _rotated(sum_ + hash_ * PRIME_2 & WORD, 31) * PRIME_1 & WORD


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & WORD


def _framed(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _colliding_map(size: int) -> bytes:
    pairs = islice(colliding_pairs(), size)
    items = (
        b"\x92\xd3%b\xd3%b\xc0" % (first.to_bytes(8), second.to_bytes(8, signed=True))
        for first, second in pairs
    )
    return b"\xdf" + size.to_bytes(4, "big") + b"".join(items)


UNPACKED: Final = (
    # An array of 65,531 empty maps; a list of 21,845 empty ones.
    _framed(b"\xdd" + (64 * KIB - 5).to_bytes(4, "big") + b"\x80" * (64 * KIB - 5)),
    b"[" + b"{}," * (21 * KIB) + b"{}]\n",
)

REFUSED: Final = (
    # 65,000 deep; an array, a map and bytes that say they are 4 GiB; colliding keys.
    (
        _framed(b"\x91" * 65_000),
        _framed(b"\xdd\xff\xff\xff\xff" + bytes(100)),
        _framed(b"\xdf\xff\xff\xff\xff" + bytes(100)),
        _framed(b"\xc6\xff\xff\xff\xff" + bytes(100)),
    ),
    # 65,000 deep; numbers that Python would compute for long.
    (b"[" * 65_000 + b"\n", b"9" * 65_000 + b"\n", b"1e999999999\n"),
    (_framed(_colliding_map(52_000)),),
)

MALFORMED: Final = (b"\0\0\0\1\xc1", b"x\n")
"""The shortest ones."""


async def forgive(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, and go on behind one that is none."""
    with suppress(trio.EndOfChannel):
        while True:
            with suppress(trio_tcp.MalformedMessageError):
                await connection.send(await connection.receive())


async def pour_until_over(visit: Visit, piece: bytes) -> None:
    """Send it again and again, and be gone when the attack is over."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visit.pour, repeat(piece))
        await visit.over.wait()
        nursery.cancel_scope.cancel()
    reset(visit.stream)


async def send_what_unpacks(visit: Visit) -> None:
    """Send messages that become large, and read what comes back, until it is over."""
    await pour_until_over(visit, UNPACKED[visit.service])


async def send_what_must_be_refused(visit: Visit) -> None:
    """Send one of the messages that no program should take."""
    await visit.stream.send_all(visit.dice.choice(REFUSED[visit.service]))
    await visit.until_ended()


async def send_nothing_but_bad_ones(visit: Visit) -> None:
    """Send the shortest malformed messages, as many as the server takes."""
    await pour_until_over(visit, MALFORMED[visit.service] * 10_000)


SMALL: Final = codecs.MessagePack(framing=codecs.LengthPrefixed(max_bytes=64 * KIB))
HELLO: Final = b"\0\0\0\6\xa5hello"

ATTACKS: Final = [
    Attack(
        name="messages of 64 KiB that take 5 MiB when they are read",
        misbehave=send_what_unpacks,
        ends=("reset (ConnectionBroken)",),
        # One for each, and what is sent back.
        growth=200,
        services=(
            Service(codec=SMALL, hello=HELLO),
            Service(codec=codecs.Json(), hello=b'"hello"\n'),
        ),
        crowd=20,
    ),
    Attack(
        name="nesting of 65,000, endless numbers, lengths that lie, one hash for all",
        misbehave=send_what_must_be_refused,
        ends=("protocol error (MalformedMessageError)",),
        # Those of 1 MiB, which come one by one.
        growth=60,
        services=(
            Service(codec=codecs.MessagePack(), hello=HELLO),
            Service(codec=codecs.Json(), hello=b'"hello"\n'),
            Service(
                codec=codecs.MessagePack(dict[str, str]),
                hello=b"\0\0\0\5\x81\xa1a\xa1b",
            ),
        ),
        crowd=20,
        at_most=2000,
    ),
    Attack(
        name="malformed messages without end, for a handler that goes on behind them",
        misbehave=send_nothing_but_bad_ones,
        ends=("reset (ConnectionBroken)",),
        growth=60,
        services=(
            Service(codec=SMALL, hello=HELLO, handler=forgive),
            Service(codec=codecs.Json(), hello=b'"hello"\n', handler=forgive),
        ),
        crowd=10,
    ),
]
