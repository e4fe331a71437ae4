"""What was sent over a link and is not answered yet: in order, and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Final, Generic, TypeVar, cast, final

import trio

from trio_tcp._backplane._link import LinkRefused

__all__ = ["Pending", "Unanswered"]

T = TypeVar("T")

MAX_BYTES: Final = 16 << 20
"""Of payloads. Where there are more, the store is slower than what is published."""

OVERHEAD_BYTES: Final = 512
"""Of each, beside its payload: keys, names, objects."""


@final
class Pending(Generic[T]):
    """An answer that will come.

    Attributes:
        is_answered: whether it is there.
        refusal: what the store said instead.
    """

    def __init__(self) -> None:
        self._is_settled = trio.Event()
        self._answer: T | None = None
        self.is_answered = False
        self.refusal: LinkRefused | None = None

    async def wait(self) -> T | None:
        """Wait for the answer; None if there will be none."""
        await self._is_settled.wait()
        return self._answer

    def answer(self, answer: T) -> None:
        """Give the answer."""
        self._answer = answer
        self.is_answered = True
        self._is_settled.set()

    def give_up(self, refusal: LinkRefused | None = None) -> None:
        """Say that there will be none."""
        self.refusal = refusal
        self._is_settled.set()


@final
class Unanswered:
    """What waits for an answer on one link, which answers in order.

    Attributes:
        bytes: of all that waits.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._queue: deque[tuple[Awaitable[object], int, Pending[object]]] = deque()
        self._news = trio.Event()
        self._is_over = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be sent."""
        return self._is_over or self.bytes >= MAX_BYTES

    def add(self, answer: Awaitable[T], size: int) -> Pending[T]:
        """Take note of what was sent with so many bytes of payload."""
        pending: Pending[T] = Pending()
        size += OVERHEAD_BYTES
        self.bytes += size
        self._queue.append((answer, size, cast("Pending[object]", pending)))
        self._news.set()
        return pending

    async def settle(self) -> None:
        """Give out answers as they come, until the link is lost.

        Raises:
            LinkLost: it is.
        """
        try:
            while True:
                while not self._queue:
                    self._news = trio.Event()
                    await self._news.wait()
                answer, size, pending = self._queue[0]
                try:
                    pending.answer(await answer)
                except LinkRefused as refusal:
                    pending.give_up(refusal)
                self._queue.popleft()
                self.bytes -= size
        finally:
            self._is_over = True
            for _, _, pending in self._queue:
                pending.give_up()
            self._queue.clear()
            self.bytes = 0
