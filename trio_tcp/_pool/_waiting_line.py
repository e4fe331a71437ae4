"""Tasks that wait for something there is too little of: first come, first served."""

from __future__ import annotations

from bisect import insort
from typing import Generic, TypeVar, final

import trio

from trio_tcp._reconnecting import copied

__all__ = ["Place", "WaitingLine"]

T = TypeVar("T")


@final
class Place(Generic[T]):
    """Somebody's place in a line, which is kept when he has to come back.

    Attributes:
        number: the lower, the earlier.
        since: when it was taken, on Trio's clock.
    """

    __slots__ = ("error", "item", "number", "since", "task")

    def __init__(self, number: int) -> None:
        self.number: int = number
        self.since: float = trio.current_time()
        self.task: trio.lowlevel.Task = trio.lowlevel.current_task()
        self.item: T | None = None
        self.error: Exception | None = None


@final
class WaitingLine(Generic[T]):
    """Those who wait, and what each of them gets: an item, or an error."""

    __slots__ = ("_places", "_taken")

    def __init__(self) -> None:
        self._places: list[Place[T]] = []
        self._taken = 0

    def __len__(self) -> int:
        """Count those who wait."""
        return len(self._places)

    @property
    def longest_wait(self) -> float:
        """For how many seconds the first has waited; zero where nobody waits."""
        return trio.current_time() - self._places[0].since if self._places else 0.0

    def take_place(self) -> Place[T]:
        """Take the last place, to wait there at once."""
        self._taken += 1
        place = Place[T](self._taken)
        self._places.append(place)
        return place

    def come_back(self, place: Place[T]) -> None:
        """Take the old place again: what one got was no good."""
        place.item = None
        insort(self._places, place, key=lambda other: other.number)

    async def wait(self, place: Place[T]) -> T:
        """Wait in a place that was taken just now.

        Raises:
            Exception: what `fail` was called with.

        Cancellation:
            Leaves the line; whoever is cancelled has got nothing.
        """

        def leave(_: object) -> trio.lowlevel.Abort:
            self._places.remove(place)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        if place.error is not None:
            raise place.error
        assert place.item is not None
        return place.item

    def serve(self, item: T) -> bool:
        """Give this to the first in line; False if nobody waits."""
        if not self._places:
            return False
        place = self._places.pop(0)
        place.item = item
        trio.lowlevel.reschedule(place.task)
        return True

    def fail(self, error: Exception) -> None:
        """Send everybody away with this error, each with a copy."""
        places, self._places = self._places, []
        for place in places:
            place.error = copied(error)
            trio.lowlevel.reschedule(place.task)
