"""Who listens to what: subscribers by topic and by pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from re import Pattern
from typing import Any, Final, Protocol, final

from trio_tcp._hub._format import Format
from trio_tcp._hub._publication import Lagged, Publication
from trio_tcp._hub._topics import check_pattern, is_pattern, matcher

__all__ = ["Audience", "Subscriber", "checked"]

MAX_REMEMBERED: Final = 10_000
"""Topics whose patterns are remembered, so that each is not looked for each time."""


class Subscriber(Protocol):
    """Gets publications.

    Attributes:
        format: how they are written for it; None for a task, which gets them as they
            are.
    """

    @property
    def format(self) -> Format | None: ...

    def offer(self, publication: Publication[Any], /) -> bool:
        """Take a publication, or leave it out.

        Args:
            publication: was encoded before, as `format` does it.

        Returns:
            False if the publisher is to wait, with `wait_to_take`: it has a place in
            the line.
        """
        ...

    async def wait_to_take(self, publication: Publication[Any], /) -> None:
        """Wait until what was offered is taken; returns after the end, too.

        Cancellation:
            It is not taken.
        """
        ...

    @property
    def holds_up(self) -> bool:
        """Whether the publisher would have to wait right now."""
        ...

    def announce(self, lagged: Lagged, /) -> None:
        """Say that it misses something at this place, which never came here."""
        ...

    def begin(self, first: Iterable[Publication[Any] | Lagged], /) -> None:
        """Give it these before all others; until then, it keeps what it is offered."""
        ...

    @property
    def missed(self) -> int:
        """How many publications it did not get."""
        ...

    @property
    def was_too_slow(self) -> bool:
        """Whether it has ended because of that."""
        ...

    def end(self) -> None:
        """Take nothing any more, and let go those that wait."""
        ...


@final
class Audience:
    """All subscribers of a hub.

    Attributes:
        is_encoding: users' functions are being called for a publication.
    """

    def __init__(self) -> None:
        # Dicts, so that the order is that of coming, and a run can be repeated.
        self._by_topic: dict[str, dict[Subscriber, None]] = {}
        self._by_pattern: dict[str, dict[Subscriber, None]] = {}
        self._matchers: dict[str, Pattern[str]] = {}
        self._remembered: dict[str, list[dict[Subscriber, None]]] = {}
        self._members: dict[Subscriber, Sequence[str]] = {}
        self.is_encoding = False

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> list[Subscriber]:
        """All of them."""
        return list(self._members)

    def patterns_of(self, subscriber: Subscriber) -> Sequence[str]:
        """What it has subscribed to; nothing after the end."""
        return self._members.get(subscriber, ())

    @property
    def topics(self) -> int:
        """How many topics and patterns somebody listens to."""
        return len(self._by_topic) + len(self._by_pattern)

    def join(self, subscriber: Subscriber, patterns: Sequence[str]) -> list[str]:
        """Add a subscriber; return what nobody has subscribed to before."""
        self._members[subscriber] = patterns
        new = [
            pattern
            for pattern in patterns
            if pattern not in self._by_topic and pattern not in self._by_pattern
        ]
        for pattern in patterns:
            if not is_pattern(pattern):
                self._by_topic.setdefault(pattern, {})[subscriber] = None
                continue
            if pattern not in self._by_pattern:
                self._by_pattern[pattern] = {}
                self._matchers[pattern] = matcher(pattern)
                self._remembered.clear()
            self._by_pattern[pattern][subscriber] = None
        return new

    def leave(self, subscriber: Subscriber) -> list[str]:
        """Remove a subscriber, if it is there; return what nobody wants any more."""
        unwanted: list[str] = []
        for pattern in self._members.pop(subscriber, ()):
            groups = self._by_pattern if is_pattern(pattern) else self._by_topic
            group = groups.get(pattern, {})
            group.pop(subscriber, None)
            if not group and groups.pop(pattern, None) is not None:
                self._matchers.pop(pattern, None)
                self._remembered.clear()
                unwanted.append(pattern)
        return unwanted

    def of(self, topic: str) -> Iterable[Subscriber]:
        """Return those who get what is published under a topic, each once."""
        exact = self._by_topic.get(topic, {})
        if not self._by_pattern:
            return exact
        groups = self._remembered.get(topic)
        if groups is None:
            groups = [
                self._by_pattern[pattern]
                for pattern, match in self._matchers.items()
                if match.fullmatch(topic)
            ]
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[topic] = groups
        if not groups:
            return exact
        everybody = dict(exact)
        for group in groups:
            everybody |= group
        return everybody

    def encode(self, publication: Publication[Any]) -> tuple[list[Subscriber], bool]:
        """Encode it for those who get it, once for each format.

        Returns:
            Them, in a list, since who is too slow leaves while it is offered; and
            whether a task is among them.

        Raises:
            EncodeError: one of them cannot carry it.
        """
        subscribers = list(self.of(publication.topic))
        formats = dict.fromkeys([subscriber.format for subscriber in subscribers])
        self.is_encoding = True
        try:
            for format_ in formats:
                if format_ is not None:
                    format_.encode(publication)
        finally:
            self.is_encoding = False
        return subscribers, None in formats


def checked(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return these topics and patterns, if that is what they are.

    Raises:
        ValueError: one of them is not, or there is none.
    """
    if not patterns:
        raise ValueError("to subscribe to nothing makes no sense: name a topic")
    for pattern in patterns:
        check_pattern(pattern)
    return tuple(dict.fromkeys(patterns))
