"""Clients that ask for much, and read nothing of it, or little."""

from __future__ import annotations

from typing import Any, Final

import attrs

import trio_tcp
from tests.integration.attacks._attack import MIB, Attack, Service, Visit
from trio_tcp import Limits, Timeouts, codecs

__all__ = ["ATTACKS"]

MORE: Final = b"\0\0\0\4more"


async def stream(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, or answer without end."""
    async for message in connection:
        await connection.send(message)
        while message == b"more":
            await connection.send(bytes(10_000))


async def stream_for_a_while(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, or answer for two seconds."""
    async for message in connection:
        await connection.send(message)
        if message == b"more":
            connection.timeouts = attrs.evolve(connection.timeouts, lifetime=2)
        while message == b"more":
            await connection.send(bytes(10_000))


async def give(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, or 8 MiB."""
    async for message in connection:
        await connection.send(bytes(8 * MIB) if message == b"more" else message)


async def ask_and_never_read(visit: Visit) -> None:
    """Ask once."""
    await visit.stream.send_all(MORE)
    await visit.until_reset()


async def ask_on_and_never_read(visit: Visit) -> None:
    """Ask again and again."""
    while True:
        await visit.stream.send_all(b"\0\0\x10\0" + bytes(0x1000))


async def ask_and_read_slowly(visit: Visit) -> None:
    """Ask once, and read a little now and then."""
    await visit.stream.send_all(MORE)
    await visit.until_reset(reads=1000)


ATTACKS: Final = [
    Attack(
        name="an endless answer, never read",
        misbehave=ask_and_never_read,
        ends=("timed out (write)",),
        # Each has 64 KiB in its queue, and as much again while that is put together.
        growth=60,
        services=(Service(handler=stream),),
        timeouts=Timeouts(write=2),
    ),
    Attack(
        name="endless requests, no answer ever read",
        misbehave=ask_on_and_never_read,
        ends=("timed out (write)",),
        # As above, and 64 KiB that are read ahead.
        growth=80,
        timeouts=Timeouts(write=2),
    ),
    Attack(
        name="an endless answer, read slowly",
        misbehave=ask_and_read_slowly,
        ends=("timed out (lifetime)",),
        growth=60,
        services=(Service(handler=stream_for_a_while),),
    ),
    Attack(
        name="answers of 8 MiB, never read",
        misbehave=ask_and_never_read,
        ends=("evicted (EvictedError)", "timed out (write)"),
        growth=100,
        services=(
            Service(codec=codecs.LengthPrefixed(max_bytes=8 * MIB), handler=give),
        ),
        limits=Limits(max_buffered_bytes=32 * MIB),
        timeouts=Timeouts(write=2),
        crowd=100,
    ),
]
