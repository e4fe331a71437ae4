"""A subscriber that is a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar, final

import trio

from trio_tcp._errors import SlowSubscriberError
from trio_tcp._hub._backlog import Backlog
from trio_tcp._hub._line import Line
from trio_tcp._hub._publication import Lagged, Publication

__all__ = ["Subscription"]

T = TypeVar("T")


@final
class Subscription(trio.abc.ReceiveChannel[Publication[T] | Lagged], Generic[T]):
    """What a task gets from a hub: `Hub.subscribe` makes it.

    A ``with`` block around it says how long it is subscribed; ``async with`` does, too.

    Attributes:
        was_too_slow: it had no room left, with ``when_full="disconnect"``.
    """

    def __init__(
        self,
        backlog: Backlog[T],
        *,
        may_wait: bool,
        leave: Callable[[Subscription[T]], None],
    ) -> None:
        self._backlog = backlog
        self._has_begun = False
        self._may_wait = may_wait
        self._leave = leave
        self._line = Line()
        self._news: trio.Event | None = None  # while a task receives
        self._is_over = False
        self._is_closed = False
        self._failure: Exception | None = None
        self.was_too_slow: bool = False

    # What the user calls

    @property
    def missed(self) -> int:
        """How many publications it did not get, as it was too slow."""
        return self._backlog.left_out

    async def receive(self) -> Publication[T] | Lagged:
        """Wait for the next publication.

        Returns:
            It; or, where some are missing, how many: `Lagged`.

        Raises:
            trio.EndOfChannel: the hub was closed, and nothing is left.
            SlowSubscriberError: this was too slow, with ``when_full="disconnect"``;
                what had room comes first.
            Exception: what its ``key`` has raised; likewise.
            trio.ClosedResourceError: this is closed.
            trio.BusyResourceError: another task is receiving.

        Cancellation:
            Loses nothing.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_alone()
        if not self._has_something:
            self._news = trio.Event()
            try:
                await self._news.wait()
            finally:
                self._news = None
            return self._take()
        item = self._take()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return item

    def receive_nowait(self) -> Publication[T] | Lagged:
        """Return the next publication, if it is there.

        Raises:
            trio.WouldBlock: it is not.
            Exception: as `receive`.
        """
        self._check_alone()
        if not self._has_something:
            raise trio.WouldBlock
        return self._take()

    def _check_alone(self) -> None:
        if self._news is not None:
            raise trio.BusyResourceError("another task is receiving already")

    @property
    def _has_something(self) -> bool:
        return self._is_over or (self._has_begun and bool(self._backlog))

    def _take(self) -> Publication[T] | Lagged:
        if self._is_closed:
            raise trio.ClosedResourceError
        if not self._backlog:
            raise self._failure or trio.EndOfChannel
        item = self._backlog.take()
        while self._line and self._backlog.put(self._line.first):
            self._line.let_in()
        return item

    def close(self) -> None:
        """Leave the hub, and forget what is left."""
        self._is_closed = True
        self.end()

    async def aclose(self) -> None:
        """As `close`.

        Cancellation:
            It is closed all the same.
        """
        self.close()
        await trio.lowlevel.checkpoint()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # What the hub calls

    def begin(self, first: Iterable[Publication[Any] | Lagged], /) -> None:
        """Give it these before all others; until then it gets nothing."""
        self._backlog.put_back(first)
        self._has_begun = True
        self._wake()

    def announce(self, lagged: Lagged, /) -> None:
        """Say that something is missing after what waits."""
        self._backlog.put_lagged(lagged)
        self._wake()

    @property
    def format(self) -> None:
        """It is written for none."""
        return

    @property
    def holds_up(self) -> bool:
        """Whether it is full, and leaves nothing out."""
        return self._may_wait and (bool(self._line) or self._backlog.is_full)

    def offer(self, publication: Publication[Any], /) -> bool:
        """Take it, leave it out, end, or make its publisher wait."""
        if self._is_over:
            return True
        try:
            is_taken = not self._line and self._backlog.put(publication)
        except Exception as error:  # noqa: BLE001 - the key is the user's function
            self._failure = error
            self.end()
            return True
        if is_taken:
            self._wake()
        elif self._may_wait:
            self._line.join(publication)
            return False
        else:
            self.was_too_slow = True
            self._failure = SlowSubscriberError()
            self.end()
        return True

    async def wait_to_take(self, publication: Publication[Any], /) -> None:
        """Wait for room, in the line; nobody waits after the end."""
        await self._line.wait(publication)

    def end(self) -> None:
        """Take nothing any more; what is there can still be received."""
        if not self._is_over:
            self._is_over = True
            self._leave(self)
            while self._line:
                self._line.let_in()
            self._wake()

    def _wake(self) -> None:
        if self._news is not None and self._has_something:
            self._news.set()
