"""What a hub remembers: the last publications of each topic that has a history."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from re import Pattern
from typing import Final, Generic, TypeVar, final

from trio_tcp._hub._publication import Lagged, Position, Publication
from trio_tcp._hub._topics import check_pattern, covers, matcher
from trio_tcp._kinds import check_kind
from trio_tcp._validators import check_whole

__all__ = ["MAX_TOPICS", "Histories", "History"]

T = TypeVar("T")

MAX_TOPICS: Final = 10_000
"""With a history at once. Names of topics may come from peers; where there are more,
the one that was not published to for the longest is forgotten."""


@final
class History(Generic[T]):
    """The last publications of one topic.

    Args:
        size: how many to keep.
        first: the position of the first that is added.
    """

    def __init__(self, size: int, first: Position) -> None:
        self._epoch = first.epoch
        self._next = first.sequence
        self._kept: deque[Publication[T]] = deque(maxlen=size)

    @property
    def next_position(self) -> Position:
        """Of what is added next."""
        return Position(self._epoch, self._next)

    def add(self, publication: Publication[T]) -> None:
        """Keep a publication, which has the next position."""
        self._next += 1
        self._kept.append(publication)

    def last(self, count: int) -> list[Publication[T]]:
        """Return the last of those that are kept, the oldest first."""
        return list(self._kept)[-count:] if count else []

    def after(self, position: Position) -> list[Publication[T] | Lagged]:
        """Return what came after a position, with what is missing before it."""
        if position.epoch != self._epoch or position.sequence >= self._next:
            # Counted by somebody else, or before a restart.
            return [Lagged(None), *self._kept]
        missed = self._next - len(self._kept) - 1 - position.sequence
        if missed > 0:
            return [Lagged(missed), *self._kept]
        return [*self.last(self._next - 1 - position.sequence)]


@final
class Histories(Generic[T]):
    """The histories of all topics.

    Args:
        sizes: how many publications to keep, by pattern; the first that matches counts.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        check_kind("history", sizes, Mapping)
        for pattern, size in sizes.items():
            check_pattern(pattern)
            check_whole(f"history[{pattern!r}]", size, 1)
        self._sizes: list[tuple[str, Pattern[str], int]] = [
            (pattern, matcher(pattern), size) for pattern, size in sizes.items()
        ]
        self._histories: OrderedDict[str, History[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._histories)

    def covers(self, pattern: str) -> bool:
        """Say whether each topic of a pattern has a history."""
        return any(covers(general, pattern) for general, _, _ in self._sizes)

    def make(self, topic: str, message: T) -> Publication[T]:
        """Make a publication, with its position where the topic has a history.

        It may still turn out that it cannot be sent: only `keep` remembers it.
        """
        history = self._histories.get(topic)
        if history is not None:
            return Publication(topic, message, history.next_position)
        if self.size(topic):
            return Publication(topic, message, Position(secrets.token_hex(4), 1))
        return Publication(topic, message)

    def keep(self, publication: Publication[T]) -> None:
        """Keep what was made just now, if its topic has a history."""
        if publication.position is None:
            return
        topic, histories = publication.topic, self._histories
        if topic not in histories:
            histories[topic] = History(self.size(topic), publication.position)
            if len(histories) > MAX_TOPICS:
                histories.popitem(last=False)
        histories[topic].add(publication)
        histories.move_to_end(topic)

    def size(self, topic: str) -> int:
        """Return how many publications of a topic are kept; 0: it has no history."""
        sizes = (size for _, match, size in self._sizes if match.fullmatch(topic))
        return next(sizes, 0)

    def recall(
        self, patterns: Sequence[str], last: int, after: Mapping[str, Position]
    ) -> list[Publication[T] | Lagged]:
        """Return what a new subscriber is to get first.

        Args:
            patterns: what it subscribes to.
            last: how many publications of each topic that it has no position in.
            after: its positions, by topic.
        """
        if not (last or after):
            return []
        topics = {**self._histories, **dict.fromkeys(after)}
        matches = [matcher(pattern).fullmatch for pattern in patterns]
        found: list[Publication[T] | Lagged] = []
        for topic in topics:
            if any(match(topic) for match in matches):
                found += self._recall(topic, last, after.get(topic))
        return found

    def _recall(
        self, topic: str, last: int, position: Position | None
    ) -> list[Publication[T] | Lagged]:
        history = self._histories.get(topic)
        if history is None:
            return [Lagged(None)]  # whatever there was is forgotten
        if position is None:
            return [*history.last(last)]
        return history.after(position)
