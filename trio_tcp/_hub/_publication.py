"""What subscribers get: what was published, and what they have missed."""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar, final

import attrs

__all__ = ["Lagged", "Position", "Publication"]

T_co = TypeVar("T_co", covariant=True)

POSITION: Final = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,19})", re.ASCII)


@final
@attrs.frozen
class Position:
    """How far a subscriber has come in a topic: what to go on after.

    ``str()`` writes it for a peer to keep, and `parse` reads what comes back.

    Attributes:
        epoch: of the hub's memory of this topic. Another hub, or the same one after a
            restart, counts anew, and has another.
        sequence: of the last publication that it has.

    Example::

        kept = str(item.position)  # by the subscriber, to come back with
        position = trio_tcp.Position.parse(kept)
        prices = hub.subscribe("prices", after={"prices": position})
    """

    epoch: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what ``str()`` has written.

        Raises:
            ValueError: it is something else.
        """
        found = POSITION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:60]!r} is no position in a topic")
        return cls(found[1], int(found[2]))


@final
@attrs.frozen
class Publication(Generic[T_co]):
    """A message, published under a topic.

    Attributes:
        topic: what it was published under.
        message: what was published.
        position: in the topic, to resume after; None where no history is kept.
        is_replicated: in what `Hub.publish` returns: whether those on other machines
            get it, too. False where a `Backplane` was away, or did not answer in time.
    """

    topic: str
    message: T_co
    position: Position | None = None
    is_replicated: bool = attrs.field(default=True, kw_only=True, eq=False, repr=False)
    _frames: dict[object, bytes | None] = attrs.field(
        factory=dict[object, "bytes | None"], init=False, repr=False, eq=False
    )


@final
@attrs.frozen
class Lagged:
    """At this place, a subscriber has missed something.

    Attributes:
        missed: how many publications, which it was too slow for, or which were no
            longer kept when it came back, or which were lost on their way from another
            machine; None if nobody knows how many.
    """

    missed: int | None
