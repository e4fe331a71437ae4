"""A subscriber that waits for the past while the present goes on: nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, final

from trio_tcp._hub._backplane import Delivery
from trio_tcp._hub._publication import Lagged, Position, Publication

__all__ = ["Joining"]


@final
class Joining:
    """Where, in each topic, what a subscriber has from the past meets what came since.

    While it waits, publications are put into its backlog as always: only the first of
    each topic is noted here. What is found of the past goes before them, up to there.
    What is delivered later, but was found already, is not admitted any more; nor is
    what the subscriber says that it has, which may just now come here, and late.

    Args:
        after: positions, by topic, of what the subscriber says that it has.
    """

    def __init__(self, after: Mapping[str, Position]) -> None:
        self._after = after
        self._had = dict(after)
        self._first: dict[str, Position] = {}
        self._left_out: set[str] = set()
        self._is_waiting = True

    @property
    def is_over(self) -> bool:
        """Whether everything is admitted from now on."""
        return not (self._is_waiting or self._had)

    def admits(self, publication: Publication[Any]) -> bool:
        """Say whether the subscriber does not have it yet."""
        topic, position = publication.topic, publication.position
        if position is None:
            return True
        if _is_up_to(position, self._had.get(topic)):
            self._left_out.add(topic)
            return False
        if self._is_waiting:
            self._first.setdefault(topic, position)
        else:
            self._had.pop(topic, None)
        return True

    def begin(
        self,
        found: Iterable[Delivery | Lagged],
        is_new: Callable[[Delivery], bool],
    ) -> Sequence[Publication[Any] | Lagged]:
        """Return what comes before all that it has been offered meanwhile.

        Args:
            found: of the past, each topic in its order.
            is_new: whether it was not given to the subscriber without its position.
        """
        self._is_waiting = False
        items: list[Publication[Any] | Lagged] = []
        not_had: set[str] = set()
        for item in found:
            if isinstance(item, Lagged):
                items.append(item)
                continue
            topic, position = item.publication.topic, item.publication.position
            first = self._first.get(topic)
            if position is None or _is_up_to(first, position):
                continue
            if _is_up_to(position, self._after.get(topic)):
                not_had.add(topic)  # it was mistaken: there is no such position yet
            if first is None or first.epoch != position.epoch:
                self._had[topic] = position
            if is_new(item):
                items.append(item.publication)
        if not_had & self._left_out:
            items.append(Lagged(None))
        self._first.clear()
        return items


def _is_up_to(one: Position | None, other: Position | None) -> bool:
    """Say whether both are of one count, and the first is not after the second."""
    return (
        one is not None
        and other is not None
        and one.epoch == other.epoch
        and one.sequence <= other.sequence
    )
