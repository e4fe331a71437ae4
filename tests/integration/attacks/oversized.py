"""Too much of everything: announced, or sent without an end."""

from __future__ import annotations

import itertools
from typing import Any, Final

import trio_tcp
from tests.integration.attacks._attack import MIB, Attack, Service, Visit
from tests.integration.attacks.slowloris import client_hello
from trio_tcp import Limits, Timeouts, codecs

__all__ = ["ATTACKS"]

SERVICES: Final = (
    Service(),
    Service(
        codec=codecs.LengthField(magic=b"\xaa\x55", offset=2, strip_header=6),
        hello=b"\xaa\x55\0\0\0\5hello",
    ),
    Service(codec=codecs.MessagePack(), hello=b"\0\0\0\6\xa5hello"),
    Service(codec=codecs.Lines(), hello=b"hello\n"),
    Service(codec=codecs.Json(), hello=b'"hello"\n'),
    Service(codec=codecs.VarintPrefixed(), hello=b"\5hello"),
    Service(codec=codecs.Netstrings(), hello=b"5:hello,"),
)
OPENINGS: Final = [b"\xff" * 4, b"\xaa\x55\xff\xff\xff\xff", b"\xff" * 4, *[b""] * 4]
ENDLESS: Final = [b"\0", b"\0", b"\0", b"x", b"[", b"\x80", b"9"]

HUGE_HEADER: Final = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"

LARGE: Final = 8 * MIB


async def never_end(visit: Visit) -> None:
    """Announce a message of 4 GiB, or begin one that never ends; send on and on."""
    await visit.stream.send_all(OPENINGS[visit.service])
    await visit.pour(itertools.repeat(ENDLESS[visit.service] * 100_000))


async def send_a_huge_header(visit: Visit) -> None:
    """Announce a PROXY header of 65,535 bytes, or a line without an end."""
    line = visit.dice.random() < 0.5
    await visit.stream.send_all(b"PROXY UNKNOWN " if line else HUGE_HEADER)
    await visit.pour(itertools.repeat(b"x" * 0xFFFF))


async def send_huge_records(visit: Visit) -> None:
    """Announce a TLS record of 64 KiB, or a ClientHello of 16 MiB in many records."""
    if visit.dice.random() < 0.5:
        await visit.stream.send_all(b"\x16\x03\x01\xff\xff\x01\xff\xff\xfa")
        await visit.pour(itertools.repeat(bytes(100_000)))
    else:
        hello = client_hello()
        start = b"\x01\xff\xff\xff" + hello[9:]
        await visit.stream.send_all(_record(start))
        await visit.pour(itertools.repeat(_record(bytes(0x4000)) * 10))


def _record(content: bytes) -> bytes:
    return b"\x16\x03\x01" + len(content).to_bytes(2, "big") + content


async def withhold_the_last_byte(visit: Visit) -> None:
    """Send a message of 8 MiB, but for its last byte."""
    await visit.stream.send_all(LARGE.to_bytes(4, "big"))
    for _ in range(LARGE // MIB - 1):
        await visit.stream.send_all(bytes(MIB))
    await visit.stream.send_all(bytes(MIB - 1))
    await visit.until_ended()


BAD: Final = (
    # Bad content, behind a good length; a message that the handler fails on; and one
    # that is cut short.
    MIB.to_bytes(4, "big") + b"\xc1" + bytes(MIB - 1),
    MIB.to_bytes(4, "big") + bytes(MIB),
    MIB.to_bytes(4, "big") + bytes(MIB - 1),
)


async def choke(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, but fail on a large one."""
    async for message in connection:
        if len(message) == MIB:
            raise LookupError("too much for me")
        await connection.send(message)


async def spoil_a_large_message(visit: Visit) -> None:
    """Send a large message with which something is wrong."""
    await visit.stream.send_all(BAD[visit.service])
    await visit.stream.send_eof()
    await visit.until_ended()


ATTACKS: Final = [
    Attack(
        name="messages of 1 MiB: bad, cut short, or such that the handler fails",
        misbehave=spoil_a_large_message,
        ends=(
            "protocol error (MalformedMessageError)",
            "handler failed",
            "handler failed (LookupError)",
            "truncated (TruncatedError)",
        ),
        # Twenty at once, each with its message twice for a moment.
        growth=80,
        services=(
            Service(
                codec=codecs.MessagePack(framing=codecs.LengthPrefixed()),
                hello=b"\0\0\0\6\xa5hello",
            ),
            Service(handler=choke),
            Service(),
        ),
        crowd=20,
    ),
    Attack(
        name="messages of 4 GiB, lines, numbers and varints without an end",
        misbehave=never_end,
        ends=(
            "protocol error (FrameTooLargeError)",
            "protocol error (InvalidFrameError)",
        ),
        # What is unread when a limit of 64 KiB is exceeded: two reads, of a hundred.
        growth=40,
        services=SERVICES,
        crowd=100,
    ),
    Attack(
        name="PROXY headers of 65,535 bytes, and lines without an end",
        misbehave=send_a_huge_header,
        ends=(
            "PROXY header (FrameTooLargeError)",
            "PROXY header (BrokenResourceError)",
        ),
        growth=40,
        services=(Service(proxy=True),),
        crowd=100,
    ),
    Attack(
        name="TLS records of 64 KiB, a ClientHello of 16 MiB",
        misbehave=send_huge_records,
        ends=("TLS (TlsHandshakeError)",),
        growth=40,
        services=(Service(tls=True),),
        crowd=100,
    ),
    Attack(
        name="messages of 8 MiB, all but the last byte",
        misbehave=withhold_the_last_byte,
        ends=("evicted (EvictedError)", "timed out (message)"),
        # The limit, as much again for what the allocator keeps, and the copies.
        growth=100,
        services=(Service(codec=codecs.LengthPrefixed(max_bytes=LARGE)),),
        limits=Limits(max_buffered_bytes=32 * MIB),
        timeouts=Timeouts(message=1, message_rate=8 * MIB),  # two seconds in all
        crowd=40,
    ),
]
