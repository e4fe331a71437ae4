"""What tests of several requests at once share: work that takes time, and a client."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

import pytest
import trio

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import Concurrency, codecs, respond, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = trio_tcp.Handler[str, str]
Replies: TypeAlias = Literal["in_order", "as_ready"]

LINES = codecs.Lines(max_bytes=1 << 20)
A_LONG_TIME = 10_000

in_either_order = pytest.mark.parametrize("replies", ["in_order", "as_ready"])


class Work:
    """A function that takes as many seconds as its request says, and keeps books.

    Attributes:
        begun: requests, in the order in which they were begun.
        running: how many are under way now.
        most: how many were, at most.
        cancelled: those that were cancelled.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running = 0
        self.most = 0
        self.cancelled: list[str] = []

    async def __call__(self, request: str) -> str | None:
        self.begun.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        name, _, seconds = request.partition(" ")
        try:
            await trio.sleep(float(seconds))
        except trio.Cancelled:
            self.cancelled.append(request)
            raise
        finally:
            self.running -= 1
        return f"did {name}"


def busy(request: str) -> str:
    return f"busy: {request.partition(' ')[0]}"


def apologise(error: Exception, request: str | None) -> str:
    return f"{type(error).__name__}: {request}"


@asynccontextmanager
async def asking(
    handler: Handler, *, timeouts: trio_tcp.Timeouts | None = None
) -> AsyncGenerator[tuple[Text, testing.MemoryServer[str], Record], None]:
    """Serve, and connect a client that waits without end."""
    record = Record()
    async with testing.serve_in_memory(
        handler, LINES, observer=record, timeouts=timeouts or trio_tcp.Timeouts()
    ) as served:
        stream = await served.listener.connect()
        patient = trio_tcp.Timeouts(idle=math.inf, linger=1)
        async with trio_tcp.open_connection(
            stream, codec=LINES, timeouts=patient
        ) as client:
            yield client, served, record
            client.abort()


async def replies_to(handler: Handler, requests: list[str]) -> list[tuple[str, float]]:
    """Ask all at once; return what comes, and when, up to the server's end."""
    async with asking(handler) as (client, _, _):
        began = trio.current_time()
        await client.send_many(requests)
        await client.send_eof()
        return [(reply, trio.current_time() - began) async for reply in client]


# Deadlines ----------------------------------------------------------------------------


def wanted(request: str) -> float | None:
    """Read the deadline, which is behind an ``@``."""
    _, _, seconds = request.partition("@")
    return float(seconds) if seconds else None


class Late(Work):
    """The same, for requests that have a deadline."""

    async def __call__(self, request: str) -> str | None:
        return await super().__call__(request.partition("@")[0])


def with_deadlines(work: Late, policy: Concurrency) -> Handler:
    return respond(work, concurrency=policy, shed=busy, deadline=wanted)
