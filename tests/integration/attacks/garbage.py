"""Garbage: bytes that are no messages, no PROXY header, and no TLS."""

from __future__ import annotations

from typing import Any, Final

import attrs
import trio

from tests.integration.attacks._attack import Attack, Service, Visit, from_proxy, reset
from tests.integration.attacks.slowloris import client_hello
from trio_tcp import codecs

__all__ = ["ATTACKS"]

GROWTH: Final = 50.0
"""Each of a hundred connections may hold a line of 64 KiB, twice while it is copied, or
a message of random length with some of its bytes."""

RANDOM: Final = b""
"""Stands for so many random bytes."""

RANDOM_BYTES: Final = 200_000


@attrs.frozen
class Kind:
    """A codec, what an honest client says in it, and what is garbage to it."""

    codec: codecs.Codec[Any, Any]
    hello: bytes
    garbage: bytes


KINDS: Final = [
    Kind(codecs.FixedLength(5), b"hello", RANDOM),
    Kind(codecs.Delimited(b";"), b"hello;", b"x" * RANDOM_BYTES),
    Kind(codecs.Lines(), b"hello\n", b"\xff\xfe\n"),
    Kind(codecs.LengthPrefixed(), b"\0\0\0\5hello", b"GET / HTTP/1.1\r\n\r\n"),
    Kind(
        codecs.LengthField(
            offset=2, magic=b"\xaa\x55", strip_header=6, max_garbage_bytes=10_000
        ),
        b"\xaa\x55\0\0\0\5hello",
        b"\xaa" * RANDOM_BYTES,
    ),
    Kind(codecs.VarintPrefixed(), b"\5hello", b"\xff" * 20),
    Kind(codecs.Netstrings(), b"5:hello,", b"05:hello,"),
    Kind(codecs.Json(), b'"hello"\n', b'{"a": [\n'),
    Kind(codecs.MessagePack(), b"\0\0\0\6\xa5hello", b"\0\0\0\1\xc1"),
    Kind(codecs.Chunks(), b"hello", RANDOM),
]

HEADERS: Final = [
    RANDOM,
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PROXY TCP4 999.0.0.1 127.0.0.1 40000 80\r\n",
    b"PROXY TCP4 127.0.0.2 127.0.0.1 40000 " + b"0" * 200,
    b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + bytes(12),
    b"\r\n\r\n\0\r\nQUIT\n\x21\xff\0\x0c" + bytes(12),
    from_proxy("127.0.0.2")[:20] + b"\0\0\0",
]


async def talk_nonsense(visit: Visit) -> None:
    """Send a codec what it cannot read."""
    await _send(visit, KINDS[visit.service].garbage)


async def name_no_address(visit: Visit) -> None:
    """Send what is no PROXY header."""
    await _send(visit, visit.dice.choice(HEADERS))


async def speak_no_tls(visit: Visit) -> None:
    """Send what is no TLS, or begins well and goes on badly."""
    hello = client_hello()
    torn = bytearray(hello)
    for _ in range(5):
        torn[visit.dice.randrange(5, len(torn))] ^= 0xFF
    what = [
        RANDOM,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x40\0" + visit.dice.randbytes(0x4000),
        bytes(torn),
        hello + visit.dice.randbytes(1000),
        hello + hello,
    ]
    await _send(visit, visit.dice.choice(what))


async def _send(visit: Visit, garbage: bytes) -> None:
    """Send it, and read what comes, until the end, or for some time."""
    with trio.move_on_after(0.5):
        await visit.pour([garbage or visit.dice.randbytes(RANDOM_BYTES)])
    reset(visit.stream)


ATTACKS: Final = [
    Attack(
        name="garbage for each of the ten codecs",
        misbehave=talk_nonsense,
        ends=(
            "protocol error (FrameTooLargeError)",
            "protocol error (InvalidFrameError)",
            "protocol error (MalformedMessageError)",
            # To Chunks and FixedLength nothing is garbage.
            "reset (ConnectionBroken)",
        ),
        growth=GROWTH,
        services=tuple(Service(codec=each.codec, hello=each.hello) for each in KINDS),
        crowd=100,
    ),
    Attack(
        name="garbage for PROXY headers",
        misbehave=name_no_address,
        ends=(
            "PROXY header (InvalidFrameError)",
            "PROXY header (FrameTooLargeError)",
            "PROXY header (BrokenResourceError)",
            "refused (proxy_protocol)",
        ),
        growth=GROWTH,
        services=(Service(proxy=True),),
        crowd=100,
    ),
    Attack(
        name="garbage for TLS",
        misbehave=speak_no_tls,
        ends=("TLS (TlsHandshakeError)",),
        growth=GROWTH,
        services=(Service(tls=True),),
        crowd=100,
    ),
]
