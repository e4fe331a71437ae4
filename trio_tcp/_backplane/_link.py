"""One connection to what joins the machines, and the records that come over it.

This is what an implementation has to provide: Redis, or the memory of a test. What is
done with it, and what becomes of it when it breaks, is the same for all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias, final

import attrs

from trio_tcp._hub import Position

__all__ = ["Link", "LinkLost", "LinkRefused", "Numbered", "OpenLink", "Plain", "State"]


class LinkLost(Exception):
    """The store cannot be reached, or not any more."""


class LinkRefused(Exception):
    """The store has answered that it does not do this; the link goes on."""


@final
@attrs.frozen
class Plain:
    """A publication without a history.

    Attributes:
        topic: what it was published under.
        key: its own name, as its hub has called it.
        payload: the message, encoded.
    """

    topic: str
    key: str
    payload: bytes


@final
@attrs.frozen
class Numbered:
    """A publication with a history.

    Attributes:
        topic: what it was published under.
        position: in the topic.
        count: how many there were with it, under all topics together.
        key: its own name, as its hub has called it.
        payload: the message, encoded.
    """

    topic: str
    position: Position
    count: int
    key: str
    payload: bytes


@final
@attrs.frozen
class State:
    """What the store remembers, when a link begins.

    Attributes:
        epoch: of the store's memory. It has another one when it has lost something.
        count: publications with a history so far, under all topics together.
        changed: topics published to since the count that was asked about; all that
            there are, if that was in another epoch.
    """

    epoch: str
    count: int
    changed: Sequence[str]


class Link(Protocol):
    """A connection to the store. What is called first is done first.

    All methods but `subscribe` and `unsubscribe` raise `LinkLost`, those that wait for
    an answer `LinkRefused`, too. None has a time limit of its own.
    """

    def subscribe(self, pattern: str, /) -> None:
        """Bring what is published under a topic, or a pattern of topics."""
        ...

    def unsubscribe(self, pattern: str, /) -> None:
        """Bring it no longer."""
        ...

    async def receive(self) -> Plain | Numbered:
        """Wait for a publication: in the order in which the store has seen them.

        What several patterns match may come several times, one after the other.
        """
        ...

    def send(self, topic: str, payload: bytes, /, *, key: str) -> Awaitable[object]:
        """Publish without a history, now; wait, with what this returns, until done."""
        ...

    def append(
        self, topic: str, payload: bytes, /, *, keep: int, key: str
    ) -> Awaitable[Position]:
        """Publish with a history, now; wait for the position with what this returns."""
        ...

    async def sync(self, epoch: str | None, count: int, /) -> State:
        """Compare what the store remembers with what this node has seen.

        Before anything else. A store that has gone back in time begins a new epoch.
        """
        ...

    async def count(self) -> int:
        """Return how many publications with a history there are, under all topics."""
        ...

    async def read(self, topic: str, start: int, /) -> Sequence[Numbered]:
        """Read what is kept of a topic, from this sequence number on."""
        ...

    async def read_last(self, topic: str, count: int, /) -> Sequence[Numbered]:
        """Read the last publications of a topic, the oldest of them first."""
        ...

    async def topics(self) -> Sequence[str]:
        """Read the names of all topics of which something is kept."""
        ...


OpenLink: TypeAlias = Callable[[], AbstractAsyncContextManager[Link]]
"""Opens a link, anew at each call. Raises `LinkLost` if it cannot, in a known time."""
