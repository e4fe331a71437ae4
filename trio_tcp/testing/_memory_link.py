"""A link to a broker in memory: in order, slow if wanted, and it breaks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from re import Pattern
from typing import Any, Final, Generic, TypeVar, cast, final

import trio

from trio_tcp._backplane import Link, LinkLost, Numbered, Plain, State
from trio_tcp._hub import Position, matcher
from trio_tcp.testing._memory_broker import MemoryBroker

__all__ = ["open_memory_link"]

T = TypeVar("T")

PAUSE_SECONDS: Final = 0.01
"""How often a link looks whether its broker goes on."""


@final
class _Reply(Generic[T]):
    """What a request is answered with."""

    def __init__(self) -> None:
        self._is_over = trio.Event()
        self._value: T | None = None
        self._is_lost = False

    def answer(self, value: T) -> None:
        self._value = value
        self._is_over.set()

    def lose(self) -> None:
        self._is_lost = True
        self._is_over.set()

    def __await__(self) -> Generator[Any, Any, T]:
        yield from self._is_over.wait().__await__()
        if self._is_lost:
            raise LinkLost("the link to the broker has broken")
        return cast("T", self._value)


@final
class MemoryLink:
    """One node's connection to a broker.

    Requests arrive after a while, in their order; so do answers and publications.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._is_lost = False
        self._matches: dict[str, Pattern[str]] = {}
        self._requests: deque[tuple[float, Callable[[], Any], _Reply[Any]]] = deque()
        self._pushes: deque[tuple[float, Plain | Numbered]] = deque()
        self._asked = trio.Event()
        self._pushed = trio.Event()

    # For the node

    def subscribe(self, pattern: str, /) -> None:
        """Bring what is published under it."""
        self._tell(partial(self._matches.__setitem__, pattern, matcher(pattern)))

    def unsubscribe(self, pattern: str, /) -> None:
        """Bring it no longer."""
        self._tell(partial(self._matches.pop, pattern, None))

    def _tell(self, request: Callable[[], object]) -> None:
        if not self._is_lost:
            self._put(request, _Reply())

    async def receive(self) -> Plain | Numbered:
        """Wait for what is published."""
        while not self._pushes:
            self._check()
            self._pushed = trio.Event()
            await self._pushed.wait()
        await trio.sleep_until(self._pushes[0][0])
        self._check()
        return self._pushes.popleft()[1]

    def send(self, topic: str, payload: bytes, /, *, key: str) -> Awaitable[object]:
        """Publish without a history."""
        return self._ask(partial(self._broker.send, topic, payload, key))

    def append(
        self, topic: str, payload: bytes, /, *, keep: int, key: str
    ) -> Awaitable[Position]:
        """Publish with a history."""
        return self._ask(partial(self._broker.append, topic, payload, keep, key))

    async def sync(self, epoch: str | None, count: int, /) -> State:
        """Compare what is remembered."""
        return await self._ask(partial(self._broker.state, epoch, count))

    async def count(self) -> int:
        """Return how many were numbered."""
        return await self._ask(self._broker.count)

    async def read(self, topic: str, start: int, /) -> Sequence[Numbered]:
        """Read what is kept from there on."""
        return await self._ask(partial(self._broker.read, topic, start))

    async def read_last(self, topic: str, count: int, /) -> Sequence[Numbered]:
        """Read the last ones."""
        return await self._ask(partial(self._broker.read_last, topic, count))

    async def topics(self) -> Sequence[str]:
        """Read all topics."""
        return await self._ask(self._broker.topics)

    def _ask(self, request: Callable[[], T]) -> _Reply[T]:
        self._check()
        reply: _Reply[T] = _Reply()
        self._put(request, reply)
        return reply

    def _put(self, request: Callable[[], Any], reply: _Reply[Any]) -> None:
        due = trio.current_time() + self._broker.drawn_delay()
        if self._requests:
            due = max(due, self._requests[-1][0])
        self._requests.append((due, request, reply))
        self._asked.set()

    def _check(self) -> None:
        if self._is_lost:
            raise LinkLost("the link to the broker has broken")

    # For the broker

    def push(self, item: Plain | Numbered, /) -> None:
        """Bring it, once for each pattern, as Redis does."""
        due = trio.current_time() + self._broker.drawn_delay()
        if self._pushes:
            due = max(due, self._pushes[-1][0])
        for match in self._matches.values():
            if match.fullmatch(item.topic):
                self._pushes.append((due, item))
        self._pushed.set()

    def lose(self) -> None:
        """Break: of what was asked, the broker gets a part, and answers nothing."""
        if self._is_lost:
            return
        self._is_lost = True
        self._broker.leave(self)
        arrived = random.randint(0, len(self._requests))
        for number, (_, request, reply) in enumerate(self._requests):
            if number < arrived:
                request()
            reply.lose()
        self._requests.clear()
        self._pushed.set()

    async def run(self) -> None:
        """Carry requests to the broker, and answers back."""
        while True:
            while not self._requests:
                self._asked = trio.Event()
                await self._asked.wait()
            await trio.sleep_until(self._requests[0][0])
            while self._broker.is_paused:  # noqa: ASYNC110 - time is virtual
                await trio.sleep(PAUSE_SECONDS)
            if self._requests:
                _, request, reply = self._requests.popleft()
                reply.answer(request())


@asynccontextmanager
async def open_memory_link(broker: MemoryBroker) -> AsyncGenerator[Link, None]:
    """Connect to a broker, until the end of the block."""
    await trio.sleep(broker.drawn_delay())
    if broker.is_away:
        raise LinkLost("the broker is away")
    link = MemoryLink(broker)
    broker.enter(link)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            yield link
            nursery.cancel_scope.cancel()
    finally:
        link.lose()
