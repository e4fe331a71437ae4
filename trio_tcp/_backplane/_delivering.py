"""From what comes over a link to what a hub is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import attrs

from trio_tcp._backplane._feed import Feed
from trio_tcp._backplane._link import Numbered, Plain
from trio_tcp._backplane._payload import decode_payload
from trio_tcp._backplane._sequence import Item
from trio_tcp._backplane._statistics import Counters
from trio_tcp._errors import FramingError, MalformedMessageError
from trio_tcp._hub import Delivery, Lagged, Publication, Receiver
from trio_tcp.codecs import Codec

__all__ = ["Delivering"]


@final
@attrs.define(eq=False)
class Delivering:
    """Delivers what comes, in order and each once.

    Attributes:
        feed: decides about topics with a history.
        codec: makes messages of payloads.
        counters: what to count in.
        on_delivered: is told of each publication with a history, after the hub.
        receiver: the hub, as soon as there is one.
    """

    feed: Feed
    codec: Codec[Any, Any]
    counters: Counters
    on_delivered: Callable[[Numbered], None]
    receiver: Receiver | None = None
    _last_key: str = attrs.field(default="", init=False)

    def take(self, push: Plain | Numbered) -> None:
        """Deliver what comes over the link."""
        self.counters.received += 1
        if isinstance(push, Numbered):
            self.deliver(push.topic, self.feed.take(push))
        elif push.key != self._last_key:  # else it is the same one, for another pattern
            self._last_key = push.key
            if self.feed.is_wanted(push.topic):
                self._pass_on(self.made(push), push.topic)

    def fill(self, topic: str, found: Sequence[Numbered]) -> None:
        """Deliver what was read of a topic's history."""
        items = self.feed.fill(topic, found)
        self.counters.recovered += sum(isinstance(item, Numbered) for item in items)
        self.deliver(topic, items)

    def deliver(self, topic: str, items: Iterable[Item]) -> None:
        """Deliver these, of one topic with a history."""
        for item in items:
            self._pass_on(item if isinstance(item, Lagged) else self.made(item), topic)
            if isinstance(item, Numbered):
                self.on_delivered(item)

    def _pass_on(self, item: Delivery | Lagged, topic: str) -> None:
        if self.receiver is None:
            return
        if isinstance(item, Lagged):
            self.receiver.lagged(topic, item.missed)
        else:
            self.receiver.deliver(item)

    def made(self, push: Plain | Numbered) -> Delivery | Lagged:
        """Make a publication of it; one that is no message is one that is missing."""
        try:
            message = decode_payload(self.codec, push.payload)
        except (MalformedMessageError, FramingError):
            self.counters.malformed += 1
            return Lagged(1)
        position = push.position if isinstance(push, Numbered) else None
        return Delivery(Publication(push.topic, message, position), push.key)
