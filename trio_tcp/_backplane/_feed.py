"""All that a node wants of the topics with a history, through all interruptions.

It decides, and does nothing, as `_sequence.py`, one for each topic that was seen. The
store counts what is published under all topics together. By that count a node that
comes back learns which topics have gone on without it, also those that it never saw.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence as Items
from re import Pattern
from typing import Final, final

from trio_tcp._backplane._link import Numbered, State
from trio_tcp._backplane._sequence import Item, Sequence
from trio_tcp._hub import is_pattern, matcher

__all__ = ["MAX_TOPICS", "Feed"]

MAX_TOPICS: Final = 10_000
"""Of which the last number is remembered. Of others, the store's count tells enough."""


@final
class Feed:
    """How far each topic has been delivered."""

    def __init__(self) -> None:
        # What is wanted, and from which count of the store on.
        self._wanted: dict[str, int] = {}
        # Those of them that are no topics, and what matches theirs.
        self._matchers: dict[str, Pattern[str]] = {}
        self._sequences: OrderedDict[str, Sequence] = OrderedDict()
        self._epoch: str | None = None
        self._count = 0

    # What is wanted ------------------------------------------------------------------

    @property
    def patterns(self) -> list[str]:
        """The topics and patterns that are wanted."""
        return list(self._wanted)

    def want(self, pattern: str) -> None:
        """Deliver what is published under it from now on."""
        self._wanted[pattern] = self._count
        if is_pattern(pattern):
            self._matchers[pattern] = matcher(pattern)

    def cover(self, pattern: str, count: int) -> None:
        """Say that it is subscribed to since the store's count was this."""
        if pattern in self._wanted:
            self._wanted[pattern] = max(self._wanted[pattern], count)

    def unwant(self, pattern: str) -> None:
        """Deliver it no longer, and begin anew if it is wanted again."""
        del self._wanted[pattern]
        match = self._matchers.pop(pattern, None)
        topics = list(self._sequences) if match is not None else [pattern]
        for topic in topics:
            if topic in self._sequences and not self.is_wanted(topic):
                del self._sequences[topic]

    def is_wanted(self, topic: str) -> bool:
        """Say whether a topic is wanted."""
        return topic in self._wanted or any(
            match.fullmatch(topic) for match in self._matchers.values()
        )

    # What comes ----------------------------------------------------------------------

    def take(self, item: Numbered) -> Items[Item]:
        """Take what comes; return what can be delivered of its topic now."""
        self._count = max(self._count, item.count)
        if not self.is_wanted(item.topic):
            return []
        return self._sequence(item.topic).take(item)

    def _sequence(self, topic: str) -> Sequence:
        sequence = self._sequences.get(topic)
        if sequence is None:
            sequence = self._sequences[topic] = Sequence(self._floor(topic))
            self._shrink()
        else:
            self._sequences.move_to_end(topic)
        return sequence

    def _floor(self, topic: str) -> int:
        """Return the count from when on what is published under a topic is due."""
        since = [
            self._wanted[pattern]
            for pattern, match in self._matchers.items()
            if match.fullmatch(topic)
        ]
        if topic in self._wanted:
            since.append(self._wanted[topic])
        return max(self._count, min(since, default=0))

    def _shrink(self) -> None:
        if len(self._sequences) > MAX_TOPICS:
            topic = next(iter(self._sequences))
            if self._sequences[topic].is_behind:
                self._sequences.move_to_end(topic)
            else:
                del self._sequences[topic]

    # Interruptions -------------------------------------------------------------------

    @property
    def seen(self) -> tuple[str | None, int]:
        """The store's epoch, if it was seen, and its count up to which all is here."""
        return self._epoch, self._count

    def resume(self, state: State) -> bool:
        """Begin, or go on after an interruption.

        Before anything that comes: for each topic that has changed meanwhile, this
        makes sure that its history is read first.

        Returns:
            Whether the store has lost its memory. Everybody is to be told.
        """
        is_first = self._epoch is None
        has_forgotten = not is_first and state.epoch != self._epoch
        if has_forgotten:
            self._count = 0
            for sequence in self._sequences.values():
                sequence.forget()
            self._wanted = dict.fromkeys(self._wanted, 0)
        if not is_first:
            for topic in state.changed:
                if self.is_wanted(topic):
                    self._sequence(topic).fall_behind()
        self._epoch, self._count = state.epoch, state.count
        return has_forgotten

    @property
    def behind(self) -> list[str]:
        """The topics whose history is to be read."""
        return [
            topic for topic, sequence in self._sequences.items() if sequence.is_behind
        ]

    def is_behind(self, topic: str) -> bool:
        """Say whether a topic's history is to be read."""
        return topic in self._sequences and self._sequences[topic].is_behind

    def read_from(self, topic: str) -> int:
        """Return the sequence number from which to read it."""
        return self._sequences[topic].read_from

    def fill(self, topic: str, found: Items[Numbered]) -> Items[Item]:
        """Take what was read of a topic; return what can be delivered of it now."""
        if not self.is_behind(topic):
            return []  # it is not wanted any more
        return self._sequences[topic].fill(found)
