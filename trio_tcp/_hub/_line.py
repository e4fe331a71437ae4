"""Publishers who wait, in the order in which they came, for one subscriber."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, final

import trio

from trio_tcp._hub._publication import Publication

__all__ = ["Line"]


@final
class Line:
    """Publications that are to be taken when there is room.

    A place is taken where the publication is offered, not where its task begins to
    wait: who publishes in between comes after it.
    """

    def __init__(self) -> None:
        # By the identity of the publication, which is offered once.
        self._places: OrderedDict[int, tuple[Publication[Any], trio.Event]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._places)

    @property
    def first(self) -> Publication[Any]:
        """What the first one waits with."""
        publication, _ = next(iter(self._places.values()))
        return publication

    def join(self, publication: Publication[Any]) -> None:
        """Take the last place."""
        self._places[id(publication)] = publication, trio.Event()

    def let_in(self) -> None:
        """Tell the first one that its publication is taken, or not wanted any more."""
        _, (_, is_in) = self._places.popitem(last=False)
        is_in.set()

    async def wait(self, publication: Publication[Any]) -> None:
        """Wait until let in, if that has not happened yet.

        Cancellation:
            Leaves the line: the publication is not taken.
        """
        if id(publication) not in self._places:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        _, is_in = self._places[id(publication)]
        try:
            await is_in.wait()
        finally:
            self._places.pop(id(publication), None)
