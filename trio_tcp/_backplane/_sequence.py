"""One topic's numbers: what can be delivered, what is there already, what is missing.

It decides, and does nothing: it is given what comes, in any order, and what was read
from the history, and returns what to deliver. Whatever comes, that is in order, each
once, and with a `Lagged` wherever something is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Items
from typing import Final, TypeAlias, final

from trio_tcp._backplane._link import Numbered
from trio_tcp._hub import Lagged, Position

__all__ = ["MAX_AHEAD", "Item", "Sequence"]

MAX_AHEAD: Final = 1000
"""Publications of one topic that are kept while those before them are read. What is
more is read, too."""

FORMER_EPOCHS: Final = 4
"""How many are remembered, so that what comes late is not taken for what is new."""

Item: TypeAlias = Numbered | Lagged


@final
class Sequence:
    """How far one topic has been delivered.

    Args:
        floor: as long as nothing was seen of the topic: what was published up to this
            count is not due.

    Attributes:
        is_behind: whether its history is to be read, from `read_from`, and given to
            `fill`. Until then nothing is delivered.
    """

    def __init__(self, floor: int = 0) -> None:
        self._floor = floor
        self._last: Position | None = None
        self._former: deque[str] = deque(maxlen=FORMER_EPOCHS)
        self._ahead: list[Numbered] = []
        self._is_ahead_full = False
        self._reads_all = False
        self.is_behind = False

    @property
    def read_from(self) -> int:
        """The sequence number from which to read: that of the last one delivered."""
        return 0 if self._last is None or self._reads_all else self._last.sequence

    def take(self, item: Numbered) -> Items[Item]:
        """Take what comes; return what can be delivered now."""
        position = item.position
        if position.epoch in self._former:
            return []
        if self.is_behind:
            self._put_ahead(item)
            return []
        if self._last is None:
            self._last = position
            return [item]
        if position.epoch != self._last.epoch:
            self._renew(position.epoch)
            return [Lagged(None), *self._follow(item)]
        return self._follow(item)

    def _follow(self, item: Numbered) -> Items[Item]:
        assert self._last is not None
        ahead = item.position.sequence - self._last.sequence
        if ahead == 1:
            self._last = item.position
            return [item]
        if ahead > 1:
            self.is_behind = True
            self._put_ahead(item)
        return []

    def _put_ahead(self, item: Numbered) -> None:
        if len(self._ahead) < MAX_AHEAD:
            self._ahead.append(item)
        else:
            self._is_ahead_full = True

    def _renew(self, epoch: str, before: int = 0) -> None:
        if self._last is not None:
            self._former.append(self._last.epoch)
        self._last = Position(epoch, before)

    def fill(self, found: Items[Numbered]) -> Items[Item]:
        """Take what was read from `read_from` on; return what can be delivered now."""
        last = self._last
        is_same = (
            bool(found) and last is not None and found[0].position.epoch == (last.epoch)
        )
        if last is not None and not (is_same or self._reads_all):
            self._reads_all = True  # it is another count: from its beginning
            return []
        items: list[Item] = []
        if not is_same:
            items += self._start(found)
        self._reads_all = False
        for item in found:
            items += self._after_gap(item)
        if self._ahead and self._last == last:
            # What is missing before it is nowhere.
            items += self._after_gap(self._ahead.pop(0))
        was_full, self._is_ahead_full = self._is_ahead_full, False
        ahead, self._ahead = self._ahead, []
        self.is_behind = False
        for item in ahead:
            items += self.take(item)
        self.is_behind = self.is_behind or was_full
        return items

    def _start(self, found: Items[Numbered]) -> Items[Lagged]:
        """Begin a count that was not seen so far with what is due of it."""
        if self._last is not None:  # and there is another count now, or none
            former = self._last.epoch
            self._former.append(former)
            self._last = None
            if found:
                first = found[0].position
                self._last = Position(first.epoch, first.sequence - 1)
            return [Lagged(None)]
        due = next((item for item in found if item.count > self._floor), None)
        if due is None:
            self._last = found[-1].position if found else None
            return []
        first = due.position
        self._last = Position(first.epoch, first.sequence - 1)
        is_whole = due is not found[0] or first.sequence == 1
        return [] if is_whole else [Lagged(None)]

    def _after_gap(self, item: Numbered) -> Items[Item]:
        """Deliver it, if it is new, and say what is missing before it."""
        position, last = item.position, self._last
        if last is None:
            self._last = position
            return [item]
        if position.epoch != last.epoch:
            if position.epoch in self._former:
                return []
            self._renew(position.epoch, position.sequence)
            return [Lagged(None), item]
        missed = position.sequence - last.sequence - 1
        if missed < 0:
            return []
        self._last = position
        return [Lagged(missed), item] if missed else [item]

    def fall_behind(self) -> None:
        """Say that something was published which did not come here."""
        self.is_behind = True

    def forget(self) -> None:
        """Say that what was counted so far is lost, and was announced as lost."""
        if self._last is not None:
            self._former.append(self._last.epoch)
        self._last = None
        self._floor = 0
        self._ahead.clear()
        self._is_ahead_full = self._reads_all = self.is_behind = False
