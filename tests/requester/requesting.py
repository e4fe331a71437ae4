"""What tests of requesters have in common: who asks, and a peer that does as told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, final

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
AnyRequester: TypeAlias = (
    trio_tcp.Requester[str, str] | trio_tcp.ReconnectingRequester[str, str]
)
Correlate: TypeAlias = Callable[[str], str | None]

PATIENT = trio_tcp.Timeouts(idle=1e6)


def refuse_bad(line: bytes) -> str:
    if line.startswith(b"bad"):
        raise ValueError("this makes no sense")
    return line.decode()


CODEC = codecs.Mapped(
    codecs.Delimited(b"\n", max_bytes=1 << 20), decode=refuse_bad, encode=str.encode
)
"""Lines, of which those that begin with "bad" are malformed."""


def first_word(message: str) -> str | None:
    """Find the id; news has none."""
    word = message.partition(" ")[0]
    return None if word == "news" else word


def is_news(message: str) -> bool:
    return message.startswith("news")


@final
class Asked:
    """A request in a task of its own, and what became of it."""

    def __init__(self, requester: AnyRequester, message: str) -> None:
        self.message = message
        self.reply: str | None = None
        self.error: Exception | None = None
        self.is_done = False
        self.scope = trio.CancelScope()
        self._requester = requester

    async def run(self) -> None:
        await self._wait_for(self._requester.request)

    async def run_repeatable(self) -> None:
        assert isinstance(self._requester, trio_tcp.ReconnectingRequester)
        await self._wait_for(self._requester.request_repeatable)

    async def _wait_for(self, request: Callable[[str], Awaitable[str]]) -> None:
        try:
            with self.scope:
                self.reply = await request(self.message)
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        self.is_done = True

    @property
    def lost(self) -> trio_tcp.ConnectionLost:
        """The error, which is this one."""
        assert isinstance(self.error, trio_tcp.ConnectionLost)
        return self.error


async def ask(
    nursery: trio.Nursery, requester: AnyRequester, *messages: str
) -> list[Asked]:
    """Have each requested by a task, one after the other, until all wait."""
    asked = [Asked(requester, message) for message in messages]
    for each in asked:
        nursery.start_soon(each.run)
        await wait_all_tasks_blocked()
    return asked


@asynccontextmanager
async def asking(
    *,
    capacity: int = 64 << 10,
    **options: Any,  # noqa: ANN401 - as of Requester
) -> AsyncGenerator[tuple[trio_tcp.Requester[str, str], Text, trio.Nursery], None]:
    """Open a requester; yield it, its peer's connection, and a nursery for tasks."""
    async with (
        testing.connection_pair(CODEC, capacity=capacity, timeouts=PATIENT) as (
            here,
            there,
        ),
        trio.open_nursery() as nursery,
        trio_tcp.Requester(here, **options) as requester,
    ):
        yield requester, there, nursery


async def receive(connection: Text, count: int) -> list[str]:
    return [await connection.receive() for _ in range(count)]


@final
class Dial:
    """A way to a server in memory whose handler is the test itself.

    Attributes:
        failures: what the next attempts to connect raise.
        attempts: how many there were.
        most_open: of connections at the same time.
    """

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.attempts = 0
        self.most_open = 0
        self._open = 0
        self._served: testing.MemoryServer[str]
        self._arrived, self._arrivals = trio.open_memory_channel[Text](100)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Dial, None]:
        async with testing.serve_in_memory(
            self._handle, CODEC, timeouts=PATIENT
        ) as self._served:
            yield self

    async def _handle(self, connection: Text) -> None:
        self._arrived.send_nowait(connection)
        await trio.sleep_forever()  # what happens is up to the test

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Text, None]:
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            async with self._served.connect() as connection:
                yield connection
        finally:
            self._open -= 1

    async def accept(self) -> Text:
        """Wait for the next connection, and return the server's end of it."""
        return await self._arrivals.receive()
