"""What joins the hubs of several machines: what a hub asks of it, and what it is told.

A backplane carries publications from each hub to all the others. Topics are of two
kinds, and each publication says by the method that publishes it which kind it is of:

* **without history**: at most once. The hub that publishes delivers it itself, right
  there, and the backplane takes it to the others (`Backplane.send`).
* **with history**: the backplane numbers it, contiguously from 1 in each topic, and
  keeps the last ones. Every hub, the publishing one too, delivers what comes back, in
  the order of the numbers, each once (`Backplane.append`).

`trio_tcp.testing.check_backplane` holds an implementation to what is promised here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, final

import attrs

from trio_tcp._hub._publication import Lagged, Position, Publication

__all__ = ["Answer", "Backplane", "Delivery", "Receiver", "Sent"]

T_contra = TypeVar("T_contra", contravariant=True)


@final
@attrs.frozen
class Delivery:
    """A publication that a backplane brings.

    Attributes:
        publication: with its position, where its topic has a history.
        key: what the publishing hub has called it: not twice the same, anywhere.
    """

    publication: Publication[Any]
    key: str


Answer: TypeAlias = Callable[[Sequence[Delivery | Lagged]], None]
"""Takes what is still kept: `Backplane.recall`."""


Sent: TypeAlias = Callable[[], Awaitable[bool]]
"""Waits until it is known whether something was sent: `Backplane.send`."""


class Receiver(Protocol):
    """A hub, as its backplane sees it. Nothing here waits, or raises."""

    def deliver(self, delivery: Delivery, /) -> None:
        """Take a publication: of another hub, or, with a history, of this one, too."""
        ...

    def lagged(self, topic: str, missed: int | None, /) -> None:
        """Tell who listens to a topic that publications are missing at this place."""
        ...

    def interrupted(self) -> None:
        """Tell who listens to topics without history that they may have missed some."""
        ...

    def forgotten(self) -> None:
        """Tell everybody that something is missing: the backplane's memory is lost."""
        ...


class Backplane(Protocol[T_contra]):
    """Joins the hubs of several machines.

    A hub without connection to the others goes on alone: none of these methods raises
    because the others cannot be reached.
    """

    def bind(self, receiver: Receiver, /) -> None:
        """Deliver to this hub from now on.

        Args:
            receiver: the hub, which calls this when it is made: an object that takes
                each `Delivery`, and is told of what is missing.

        Raises:
            ValueError: it delivers to one already.
        """
        ...

    def want(self, pattern: str, /) -> None:
        """Bring what is published under a topic, or a pattern of topics, from now on.

        With a history, everything from now on, through interruptions, or the hub is
        told what is missing. What several patterns match is brought once.
        """
        ...

    def unwant(self, pattern: str, /) -> None:
        """Bring it no longer."""
        ...

    def send(self, topic: str, message: T_contra, /, *, key: str) -> Sent | None:
        """Take a message to the other hubs, at most once. For topics without history.

        They get messages in the order of these calls.

        Args:
            topic: without a history.
            message: what to publish.
            key: comes back with the `Delivery`.

        Returns:
            What waits, in a known time, until it is known whether it was taken there.
            It need not be called. None: it is not sent.

        Raises:
            EncodeError: it cannot carry this message.
        """
        ...

    async def append(
        self, topic: str, message: T_contra, /, *, keep: int, key: str
    ) -> Position | None:
        """Number a message, keep it, and bring it to all hubs, this one too.

        Args:
            topic: with a history.
            message: what to publish.
            keep: how many publications of this topic to keep, this one included.
            key: comes back with the `Delivery`.

        Returns:
            Its position, when it is delivered here, too, if anybody wants it; None if
            nobody knows whether it was published, and it was not delivered here so far.
            It may still come: the key says which it is.

        Raises:
            EncodeError: it cannot carry this message.

        Cancellation:
            It may be published, or not.
        """
        ...

    def recall(
        self,
        patterns: Sequence[str],
        answer: Answer,
        /,
        *,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        """Find what is still kept of topics, for a subscriber that wants them by now.

        Args:
            patterns: what it subscribes to.
            answer: is called once, at once or soon: with what is found, each topic in
                its order, and with a `Lagged` where something is missing. With what was
                delivered since `want` that makes all; some may be in both.
            last: how many publications of each topic that is not in ``after``.
            after: positions, by topic: what came after them.
        """
        ...
