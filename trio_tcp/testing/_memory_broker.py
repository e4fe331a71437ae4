"""What joins hubs in one process: it can go away, hang, be slow, and forget."""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Sequence
from typing import Protocol, final

import attrs

from trio_tcp._backplane import Numbered, Plain, State
from trio_tcp._hub import Position

__all__ = ["MemoryBroker", "Peer"]


class Peer(Protocol):
    """A link, as the broker sees it."""

    def push(self, item: Plain | Numbered, /) -> None:
        """Take a publication, if it is wanted."""
        ...

    def lose(self) -> None:
        """Break."""
        ...


@attrs.define
class _Topic:
    epoch: str
    kept: deque[Numbered]
    sequence: int = 0


@final
class MemoryBroker:
    """Joins the hubs of a test, in memory: as Redis does it, with faults at will.

    Each `MemoryBackplane` over it is a node. With a seeded `random` and a virtual
    clock, as in `run_simulation`, each run is the same.

    Args:
        delay: seconds that anything needs to get here or back, at most; drawn evenly.

    Attributes:
        delay: as above; may be changed.
        is_paused: it takes what comes, and does not answer, until this is False again.

    Example::

        broker = testing.MemoryBroker()
        async with testing.MemoryBackplane(broker, codec=codecs.Lines()) as backplane:
            hub: trio_tcp.Hub[str] = trio_tcp.Hub(backplane=backplane)
            broker.go_away()
            assert not hub.publish_nowait("topic", "text").is_replicated
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay: float = delay
        self.is_paused: bool = False
        self._is_away = False
        self._peers: dict[Peer, None] = {}
        self._topics: dict[str, _Topic] = {}
        self._changed: dict[str, int] = {}
        self._epoch = secrets.token_hex(4)
        self._count = 0

    # Faults --------------------------------------------------------------------------

    @property
    def is_away(self) -> bool:
        """Whether nobody can connect."""
        return self._is_away

    def go_away(self) -> None:
        """Break all connections, and take no more until `come_back`."""
        self._is_away = True
        self.break_links()

    def come_back(self) -> None:
        """Let nodes connect again."""
        self._is_away = False

    def break_links(self) -> None:
        """Break all connections. What was on its way may have arrived, or not."""
        for peer in list(self._peers):
            peer.lose()

    def forget(self) -> None:
        """Start anew without memory: all connections break, all histories are lost."""
        self.break_links()
        self._topics.clear()
        self._changed.clear()
        self._epoch = secrets.token_hex(4)
        self._count = 0

    # What its nodes do ---------------------------------------------------------------

    def drawn_delay(self) -> float:
        """Draw how long something is on its way."""
        return random.uniform(0, self.delay)

    def enter(self, peer: Peer) -> None:
        """Push to it what is published from now on."""
        self._peers[peer] = None

    def leave(self, peer: Peer) -> None:
        """Push no more to it."""
        self._peers.pop(peer, None)

    def send(self, topic: str, payload: bytes, key: str) -> None:
        """Push to all."""
        self._push(Plain(topic, key, payload))

    def append(self, topic: str, payload: bytes, keep: int, key: str) -> Position:
        """Number it, keep it, and push it to all."""
        if topic not in self._topics:
            self._topics[topic] = _Topic(secrets.token_hex(4), deque())
        found = self._topics[topic]
        found.sequence += 1
        self._count += 1
        self._changed[topic] = self._count
        position = Position(found.epoch, found.sequence)
        item = Numbered(topic, position, self._count, key, payload)
        found.kept.append(item)
        while len(found.kept) > keep:
            found.kept.popleft()
        self._push(item)
        return position

    def _push(self, item: Plain | Numbered) -> None:
        for peer in self._peers:
            peer.push(item)

    def state(self, epoch: str | None, count: int) -> State:
        """Say what has changed since."""
        since = count if epoch == self._epoch else 0
        changed = [topic for topic, at in self._changed.items() if at > since]
        return State(self._epoch, self._count, changed)

    def count(self) -> int:
        """Return how many publications were numbered."""
        return self._count

    def read(self, topic: str, start: int) -> Sequence[Numbered]:
        """Return what is kept from a sequence number on."""
        return [it for it in self._kept(topic) if it.position.sequence >= start]

    def read_last(self, topic: str, count: int) -> Sequence[Numbered]:
        """Return the last ones."""
        return list(self._kept(topic))[-count:]

    def _kept(self, topic: str) -> Sequence[Numbered]:
        found = self._topics.get(topic)
        return found.kept if found is not None else ()

    def topics(self) -> Sequence[str]:
        """Return all topics of which something is kept."""
        return list(self._topics)
