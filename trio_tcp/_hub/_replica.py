"""A hub's side of its backplane: who gets what comes, and what goes out."""

from __future__ import annotations

import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, final

import attrs
import trio

from trio_tcp._errors import EncodeError
from trio_tcp._hub._audience import Audience, Subscriber
from trio_tcp._hub._backplane import Backplane, Delivery, Sent
from trio_tcp._hub._joining import Joining
from trio_tcp._hub._publication import Lagged, Position, Publication

__all__ = ["Replica"]

T = TypeVar("T")

MAX_GIVEN: Final = 10_000
"""Publications whose fate is not known, and which were delivered here without it. The
backplane may still bring them: for a few seconds, as a rule."""

ONE: Final = Lagged(1)
UNKNOWN: Final = Lagged(None)


@final
class Replica(Generic[T]):
    """What one hub needs to be one of many.

    Args:
        backplane: to the others.
        audience: of this hub.
        is_kept: whether all topics of a pattern have a history.
    """

    def __init__(
        self,
        backplane: Backplane[T],
        audience: Audience,
        is_kept: Callable[[str], bool],
    ) -> None:
        self._backplane = backplane
        self._audience = audience
        self._is_kept = is_kept
        self._name = secrets.token_hex(6)
        self._keys = itertools.count(1)
        # Subscribers are numbered as they come: who was there when.
        self._numbers: dict[Subscriber, int] = {}
        self._next = 1
        self._joining: dict[Subscriber, Joining] = {}
        self._given: OrderedDict[str, int] = OrderedDict()
        backplane.bind(self)

    # Subscribers ---------------------------------------------------------------------

    def join(self, subscriber: Subscriber, new: Sequence[str]) -> None:
        """Take note of a subscriber; ``new`` is what nobody has wanted before."""
        self._numbers[subscriber] = self._next
        self._next += 1
        for pattern in new:
            self._backplane.want(pattern)

    def leave(self, subscriber: Subscriber, unwanted: Sequence[str]) -> None:
        """Forget a subscriber; ``unwanted`` is what nobody wants any more."""
        self._numbers.pop(subscriber, None)
        self._joining.pop(subscriber, None)
        for pattern in unwanted:
            self._backplane.unwant(pattern)

    def recall(
        self,
        subscriber: Subscriber,
        patterns: Sequence[str],
        *,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        """Let a subscriber begin with what is still kept."""
        after = dict(after)  # it is read later, and may be changed by then
        joining = self._joining[subscriber] = Joining(after)
        number = self._numbers[subscriber]

        def answer(found: Sequence[Delivery | Lagged]) -> None:
            if subscriber in self._numbers:  # it is still there
                first = joining.begin(found, lambda it: not self._has(number, it))
                subscriber.begin([_encoded(subscriber, item) for item in first])

        self._backplane.recall(patterns, answer, last=last, after=after)

    def _has(self, number: int, delivery: Delivery) -> bool:
        """Say whether a subscriber was there when this was given without a position."""
        return number < self._given.get(delivery.key, 0)

    # What goes out -------------------------------------------------------------------

    async def publish(self, topic: str, message: T, keep: int) -> Publication[T]:
        """Publish here and to the others: `Hub.publish`.

        Args:
            topic: of the message.
            message: what to publish.
            keep: how many publications of the topic are kept; 0: it has no history.
        """
        if keep:
            return await self._append(topic, message, keep)
        publication, sent = self._send(topic, message)
        if sent is None:
            await trio.lowlevel.cancel_shielded_checkpoint()
        elif await sent():
            return publication
        return attrs.evolve(publication, is_replicated=False)

    def publish_nowait(self, topic: str, message: T) -> Publication[T]:
        """Publish what has no history: `Hub.publish_nowait`."""
        publication, sent = self._send(topic, message)
        return attrs.evolve(publication, is_replicated=sent is not None)

    def _send(self, topic: str, message: T) -> tuple[Publication[T], Sent | None]:
        publication = Publication(topic, message)
        subscribers, _ = self._audience.encode(publication)
        sent = self._backplane.send(topic, message, key=self._key())
        for subscriber in subscribers:
            subscriber.offer(publication)
        return publication, sent

    async def _append(self, topic: str, message: T, keep: int) -> Publication[T]:
        key = self._key()
        position = await self._backplane.append(topic, message, keep=keep, key=key)
        if position is not None:
            return Publication(topic, message, position)
        # Nobody knows whether it is published. If it is, it comes back with its key.
        self._given[key] = self._next
        if len(self._given) > MAX_GIVEN:
            self._given.popitem(last=False)
        alone = Publication(topic, message, is_replicated=False)
        for subscriber in list(self._audience.of(topic)):
            _give(subscriber, alone)
        return alone

    def _key(self) -> str:
        return f"{self._name}.{next(self._keys)}"

    # What comes in: a `Receiver` -----------------------------------------------------

    def deliver(self, delivery: Delivery, /) -> None:
        """Offer it to all who do not have it yet."""
        publication = delivery.publication
        is_own = delivery.key.partition(".")[0] == self._name
        if is_own and publication.position is None:
            return  # was delivered when it was published
        # Those who are too slow leave while it is offered.
        for subscriber in list(self._audience.of(publication.topic)):
            number = self._numbers.get(subscriber)
            if number is None or (is_own and self._has(number, delivery)):
                continue
            if self._joining and not self._admits(subscriber, publication):
                continue
            _give(subscriber, publication)

    def _admits(self, subscriber: Subscriber, publication: Publication[Any]) -> bool:
        joining = self._joining.get(subscriber)
        if joining is None:
            return True
        admitted = joining.admits(publication)
        if joining.is_over:
            del self._joining[subscriber]
        return admitted

    def lagged(self, topic: str, missed: int | None, /) -> None:
        """Announce it to those who listen to the topic."""
        for subscriber in list(self._audience.of(topic)):
            subscriber.announce(Lagged(missed))

    def interrupted(self) -> None:
        """Announce it to those who listen to a topic without history."""
        for subscriber in self._audience.members:
            if not all(map(self._is_kept, self._audience.patterns_of(subscriber))):
                subscriber.announce(UNKNOWN)

    def forgotten(self) -> None:
        """Announce it to all."""
        for subscriber in self._audience.members:
            subscriber.announce(UNKNOWN)


def _give(subscriber: Subscriber, publication: Publication[Any]) -> None:
    item = _encoded(subscriber, publication)
    if isinstance(item, Lagged):
        subscriber.announce(item)
    else:
        subscriber.offer(item)


def _encoded(
    subscriber: Subscriber, item: Publication[Any] | Lagged
) -> Publication[Any] | Lagged:
    """Return it, or that one is missing, where this subscriber cannot carry it."""
    if isinstance(item, Publication) and subscriber.format is not None:
        try:
            subscriber.format.encode(item)
        except EncodeError:
            return ONE
        except Exception:  # noqa: BLE001 - it meets that, too, and deals with it
            return item
    return item
