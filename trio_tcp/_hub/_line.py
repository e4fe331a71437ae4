"""Publishers who wait, in the order in which they came, for one subscriber."""

from __future__ import annotations

from collections import deque
from typing import Any, final

import trio

from trio_tcp._hub._publication import Publication

__all__ = ["Line", "Place"]


@final
class Place:
    """One publisher's place in a line.

    It is taken where the publication is offered, not where its task begins to wait: who
    publishes in between comes after it.

    Attributes:
        publication: to be taken.
        let_in: set once it is taken, or not wanted any more.
    """

    def __init__(self, line: deque[Place], publication: Publication[Any]) -> None:
        self.publication: Publication[Any] = publication
        self.let_in: trio.Event = trio.Event()
        self._line = line

    def leave(self) -> None:
        """Have the publication not taken, if it is not so far."""
        if not self.let_in.is_set():
            self._line.remove(self)


@final
class Line:
    """Publications that wait."""

    def __init__(self) -> None:
        self._places: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def join(self, publication: Publication[Any]) -> Place:
        """Take the last place."""
        place = Place(self._places, publication)
        self._places.append(place)
        return place

    @property
    def first(self) -> Publication[Any]:
        """What the first one waits with."""
        return self._places[0].publication

    def let_in(self) -> None:
        """Tell the first one that its publication is taken, or not wanted any more."""
        self._places.popleft().let_in.set()
