"""What the tests of heartbeats share: two peers, one of which asks the other."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import trio_tcp
from trio_tcp import codecs, heartbeat, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
PATIENT = trio_tcp.Timeouts(
    first_message=math.inf, idle=math.inf, message=math.inf, write=math.inf, linger=1
)
EVERY = 10
WITHIN = 4


def is_pong(message: str) -> bool:
    return message == "PONG"


def pong_to_ping(message: str) -> str | None:
    return "PONG" if message == "PING" else None


beating = partial(
    heartbeat, message="PING", is_answer=is_pong, every=EVERY, within=WITHIN
)


@asynccontextmanager
async def peers(capacity: int = 64 << 10) -> AsyncGenerator[tuple[Text, Text], None]:
    """Open a pair that waits for each other without end."""
    async with testing.connection_pair(
        LINES, timeouts=PATIENT, capacity=capacity
    ) as pair:
        yield pair
        for connection in pair:
            connection.abort()


async def answer_pings(connection: Text, others: list[str] | None = None) -> None:
    """Be a peer that lives."""
    with suppress(trio_tcp.ConnectionFault):
        async for message in connection:
            if message == "PING":
                await connection.send("PONG")
            elif others is not None:
                others.append(message)
        await connection.aclose()
