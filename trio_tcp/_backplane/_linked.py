"""All that is done with one link, until it breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar, final

import trio

from trio_tcp._backplane._delivering import Delivering
from trio_tcp._backplane._link import Link, LinkLost, LinkRefused, Numbered
from trio_tcp._backplane._recalling import recalled
from trio_tcp._backplane._sequence import Item
from trio_tcp._backplane._unanswered import Pending, Unanswered
from trio_tcp._hub import Answer, Lagged, Position

__all__ = ["Linked"]

T = TypeVar("T")

MAX_READING: Final = 32
"""Topics whose history is read at once after an interruption."""


@final
class Linked:
    """One link, and the tasks that use it.

    Args:
        link: that was opened just now.
        nursery: for the tasks; one that fails, with `LinkLost` or `trio.TooSlowError`,
            ends them all.
        delivering: where to what comes goes.
        timeout: seconds that an answer may take; the link is asked as often, too.

    Attributes:
        unanswered: what was sent and is not answered yet.
    """

    def __init__(
        self, link: Link, nursery: trio.Nursery, delivering: Delivering, timeout: float
    ) -> None:
        self._link = link
        self._nursery = nursery
        self._delivering = delivering
        self._feed = delivering.feed
        self._timeout = timeout
        self._reading: set[str] = set()
        self._may_read = trio.CapacityLimiter(MAX_READING)
        self.unanswered = Unanswered()

    async def begin(self) -> bool:
        """Go on where the last link has ended; return whether the store has forgotten.

        Raises:
            LinkLost, LinkRefused, trio.TooSlowError: it is of no use.
        """
        for pattern in self._feed.patterns:
            self._link.subscribe(pattern)
        self._nursery.start_soon(self.unanswered.settle)
        epoch, count = self._feed.seen
        with trio.fail_after(self._timeout):
            state = await self._link.sync(epoch, count)
        # Nothing has been received so far: what was missed comes before it.
        has_forgotten = self._feed.resume(state)
        receiver = self._delivering.receiver
        if receiver is not None and has_forgotten:
            receiver.forgotten()
        elif receiver is not None and epoch is not None:
            receiver.interrupted()
        for topic in self._feed.behind:
            self._start_reading(topic)
        self._nursery.start_soon(self._receive)
        self._nursery.start_soon(self._ask_regularly)
        return has_forgotten

    # What comes ----------------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            push = await self._link.receive()
            self._delivering.take(push)
            if isinstance(push, Numbered) and self._feed.is_behind(push.topic):
                self._start_reading(push.topic)

    def _start_reading(self, topic: str) -> None:
        if topic not in self._reading:
            self._reading.add(topic)
            self._nursery.start_soon(self._read, topic)

    async def _read(self, topic: str) -> None:
        async with self._may_read:
            while self._feed.is_behind(topic):
                start = self._feed.read_from(topic)
                with trio.fail_after(self._timeout):
                    found = await self._link.read(topic, start)
                # Meanwhile it may have been unwanted, and wanted again.
                if self._feed.is_behind(topic) and self._feed.read_from(topic) == start:
                    self._delivering.fill(topic, found)
        self._reading.discard(topic)

    async def _ask_regularly(self) -> None:
        """Notice a store that hangs, or that is cut off and nobody says so."""
        while True:
            await trio.sleep(self._timeout)
            with trio.fail_after(self._timeout):
                await self._link.count()

    # What the hub wants --------------------------------------------------------------

    def want(self, pattern: str) -> None:
        """Subscribe."""
        self._link.subscribe(pattern)
        self._nursery.start_soon(self._cover, pattern)

    async def _cover(self, pattern: str) -> None:
        with trio.fail_after(self._timeout):
            self._feed.cover(pattern, await self._link.count())

    def unwant(self, pattern: str) -> None:
        """Subscribe no longer."""
        self._link.unsubscribe(pattern)

    def send(self, topic: str, payload: bytes, key: str) -> Pending[object] | None:
        """Publish without a history; None if that is not possible now."""
        return self._ask(len(payload), lambda: self._link.send(topic, payload, key=key))

    def append(
        self, topic: str, payload: bytes, keep: int, key: str
    ) -> Pending[Position] | None:
        """Publish with a history; None if that is not possible now."""
        return self._ask(
            len(payload),
            lambda: self._link.append(topic, payload, keep=keep, key=key),
        )

    def _ask(self, size: int, ask: Callable[[], Awaitable[T]]) -> Pending[T] | None:
        if self.unanswered.is_full:
            return None
        try:
            return self.unanswered.add(ask(), size)
        except LinkLost:
            return None  # the tasks are about to learn it

    def recall(
        self,
        patterns: Sequence[str],
        answer: Answer,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        """Read what is kept, in a task."""
        self._nursery.start_soon(self._recall, patterns, answer, last, after)

    async def _recall(
        self,
        patterns: Sequence[str],
        answer: Answer,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        items: list[Item] = [Lagged(None)]
        try:
            with trio.move_on_after(self._timeout):
                items = await recalled(self._link, patterns, last, after)
        except LinkRefused:
            pass
        finally:
            made = self._delivering.made
            answer([it if isinstance(it, Lagged) else made(it) for it in items])
