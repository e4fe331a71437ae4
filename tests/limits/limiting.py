"""What the tests of the limits share: a server in memory that has them, its clients."""

from __future__ import annotations

import math
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias, final

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import Limits, Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]

LINES = codecs.Lines(max_bytes=1 << 22)
CAPACITY = 16 << 10
A_LONG_TIME = 10_000
FAREWELL = b"BUSY: come back later\r\n"

PATIENT = Timeouts(
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    write=math.inf,
    lifetime=math.inf,
)


@final
@attrs.frozen
class Serving:
    """A server in memory. Made by `serve`.

    Attributes:
        server: itself.
        listeners: the ways to it.
        record: what has happened.
    """

    server: trio_tcp.Server
    listeners: list[testing.MemoryListener]
    record: Record

    async def connect(self, listener: int = 0) -> testing.MemoryStream:
        """Connect a client."""
        return await self.listeners[listener].connect()

    async def is_served(self, listener: int = 0) -> bool:
        """Say if a new client is served now. It leaves again."""
        with trio.move_on_after(0.001):
            client = await self.connect(listener)
            served = await answers(client)
            await client.aclose()
            # Others can have its place.
            await wait_all_tasks_blocked()
            return served
        return False

    async def rejected(self) -> dict[str, int]:
        """Return how many clients have been refused for each limit."""
        await wait_all_tasks_blocked()
        events = Counter(
            event.limit for event in self.record.all(trio_tcp.ConnectionRejected)
        )
        assert self.server.statistics().rejected == events
        return dict(events)

    def reached(self) -> list[tuple[str, float]]:
        """Return the limits that were reported, and what they were."""
        events = self.record.all(trio_tcp.LimitReached)
        return [(event.limit, event.value) for event in events]


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def receive_all(connection: Text) -> None:
    async for _ in connection:
        pass


@asynccontextmanager
async def serve(
    limits: Limits,
    handler: Handler = echo,
    *,
    listeners: int = 1,
    capacity: int = CAPACITY,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
) -> AsyncGenerator[Serving, None]:
    """Run a server. A handler that fails, fails the test."""
    record = Record()
    ways = [testing.MemoryListener(capacity) for _ in range(listeners)]
    run = partial(
        trio_tcp.serve_listeners,
        handler,
        ways,
        codec=LINES,
        limits=limits,
        tls=tls,
        timeouts=timeouts or Timeouts(),
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(run)
        with trio.fail_after(A_LONG_TIME):  # noqa: ASYNC100 - instead of a deadlock
            yield Serving(server, ways, record)
        nursery.cancel_scope.cancel()
    for failed in record.all(trio_tcp.HandlerFailed):
        raise failed.error


async def answers(client: testing.MemoryStream) -> bool:
    """Say if a client's message is answered."""
    with suppress(trio.BrokenResourceError):
        await client.send_all(b"hello\n")
        answer = b""
        while not answer.endswith(b"\n") and (chunk := await client.receive_some()):
            answer += chunk
        return answer == b"hello\n"
    return False


async def everything(stream: trio.abc.ReceiveStream) -> bytes:
    """Read to the end."""
    return b"".join([chunk async for chunk in stream])


async def is_reset(stream: trio.abc.ReceiveStream) -> bool:
    """Read to the end; say if it is a hard one."""
    try:
        await everything(stream)
    except trio.BrokenResourceError:
        return True
    return False


def buffered(count: int) -> Limits:
    """Limit nothing but what is held."""
    return Limits(max_buffered_bytes=count)
