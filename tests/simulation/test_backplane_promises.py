"""Hubs on two machines, and what joins them does its worst: no gap is left unsaid.

Each node publishes numbers, and subscribers come, read, leave, and come back to where
they were, while the broker goes away, hangs, breaks its links, or forgets.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import attrs
import trio

import trio_tcp
from tests.simulation.service import ignore
from trio_tcp import Lagged, Position, Publication, codecs, testing
from trio_tcp._hub import matcher
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

TOPICS = ("room.a", "room.b", "room.c")
SECONDS = 30


Places = dict[tuple[str, Position], str]
"""The message of each position, by topic."""


@attrs.define(eq=False)
class Reader:
    """A subscriber, across its subscriptions.

    Attributes:
        patterns: what it subscribes to.
        got: what came, by topic: positions, and None where something is missing. What
            has no position is not in it.
        messages: how often each message came.
        here: those that came to the subscription of now.
        positions: of the last ones, by topic.
    """

    patterns: tuple[str, ...]
    got: dict[str, list[Position | None]] = attrs.field(
        factory=lambda: {topic: [] for topic in TOPICS}
    )
    messages: Counter[str] = attrs.field(factory=Counter[str])
    here: set[str] = attrs.field(factory=set[str])
    positions: dict[str, Position] = attrs.field(factory=dict[str, Position])

    async def read(self, hub: trio_tcp.Hub[str], seconds: float) -> None:
        """Subscribe for a while, from where it is."""
        self.here.clear()
        for topic in TOPICS:
            if topic not in self.positions:
                self.got[topic].append(None)  # it may begin anywhere
        with (
            trio.move_on_after(seconds),
            hub.subscribe(*self.patterns, after=self.positions) as subscription,
        ):
            async for item in subscription:
                self.take(item)

    def wants(self, topic: str) -> bool:
        """Say whether it subscribes to a topic."""
        return any(matcher(pattern).fullmatch(topic) for pattern in self.patterns)

    def take(self, item: Publication[str] | Lagged) -> None:
        """Take note of what comes."""
        if isinstance(item, Lagged):
            for got in self.got.values():
                got.append(None)
        else:
            assert item.message not in self.here, f"{item} twice"
            self.here.add(item.message)
            self.messages[item.message] += 1
            if item.position is not None:
                self.got[item.topic].append(item.position)
                self.positions[item.topic] = item.position

    def check(self, places: Places) -> None:
        """Check that numbers rise by one, or that it is said that they do not.

        Only what this node has published, and delivered before it could know the
        number, needs no number.
        """
        for topic, got in self.got.items():
            last: Position | None = None
            is_announced = True
            for position in got:
                if position is None:
                    is_announced = True
                    continue
                if last is not None and not is_announced:
                    assert last.epoch == position.epoch, f"{topic}: {position}, {last}"
                    for number in range(last.sequence + 1, position.sequence):
                        missing = Position(last.epoch, number)
                        assert self.messages[places[topic, missing]], f"no {missing}"
                if last is not None and last.epoch == position.epoch:
                    assert position.sequence > last.sequence, f"{position} after {last}"
                last, is_announced = position, False


@attrs.define(eq=False)
class Node:
    """A machine.

    Attributes:
        name: of it.
        broker: that joins it with the others.
        readers: that come and go here.
        published: all that was published here.
        last: what was published when all was well again.
        numbers: the last number of each topic.
    """

    name: str
    broker: testing.MemoryBroker
    readers: list[Reader]
    published: list[Publication[str]] = attrs.field(factory=list[Publication[str]])
    last: list[Publication[str]] = attrs.field(factory=list[Publication[str]])
    numbers: Counter[str] = attrs.field(factory=Counter[str])

    async def run(self, keep: int, stays: trio.Event) -> None:
        """Publish, and read, until the time is over; then read on to the end."""
        async with testing.MemoryBackplane(
            self.broker, codec=codecs.Lines(), timeout=2, observer=ignore
        ) as backplane:
            hub: trio_tcp.Hub[str] = trio_tcp.Hub(
                history={"room.*": keep}, backplane=backplane
            )
            async with trio.open_nursery() as nursery:
                for topic in TOPICS:
                    nursery.start_soon(self.publish, hub, topic)
                for reader in self.readers:
                    nursery.start_soon(self.come_and_go, hub, reader)
                await stays.wait()
                nursery.cancel_scope.cancel()

    async def publish(self, hub: trio_tcp.Hub[str], topic: str) -> None:
        """Publish numbers at any time, in bursts."""
        with trio.move_on_after(SECONDS):
            while True:
                await trio.sleep(random.expovariate(3))
                async with trio.open_nursery() as nursery:
                    for _ in range(random.choice((1, 1, 5))):
                        nursery.start_soon(self.publish_one, hub, topic)
        await trio.sleep(10)
        self.last.append(await hub.publish(topic, f"{self.name} {topic} end"))

    async def publish_one(self, hub: trio_tcp.Hub[str], topic: str) -> None:
        """Publish the next number."""
        self.numbers[topic] += 1
        message = f"{self.name} {topic} {self.numbers[topic]}"
        with trio.move_on_after(random.choice((0.05, 10, 10))):
            self.published.append(await hub.publish(topic, message))

    async def come_and_go(self, hub: trio_tcp.Hub[str], reader: Reader) -> None:
        """Subscribe again and again, and at last for good."""
        ends = trio.current_time() + SECONDS
        while trio.current_time() < ends:
            await trio.sleep(random.expovariate(2))
            await reader.read(hub, random.choice((0, 0.1, 1, 10)))
        await reader.read(hub, float("inf"))


async def do_harm(broker: testing.MemoryBroker) -> None:
    """Let the broker fail in any way, again and again."""
    with trio.move_on_after(SECONDS - 2):
        while True:
            await trio.sleep(random.uniform(0, 5))
            match random.randrange(5):
                case 0:
                    broker.break_links()
                case 1:
                    broker.go_away()
                    await trio.sleep(random.uniform(0, 5))
                case 2:
                    broker.is_paused = True
                    await trio.sleep(random.uniform(0, 5))
                case 3 if random.random() < 0.4:
                    broker.forget()
                case _:
                    broker.delay = random.choice((0, 0.01, 0.5, 1))
            broker.come_back()
            broker.is_paused = False
    broker.come_back()
    broker.is_paused = False
    broker.delay = 0


def recorded(broker: testing.MemoryBroker) -> Places:
    """Record what it numbers."""
    places: Places = {}
    append = broker.append

    def record(topic: str, payload: bytes, keep: int, key: str) -> Position:
        position = append(topic, payload, keep, key)
        assert (topic, position) not in places
        places[topic, position] = payload.decode().rstrip("\n")
        return position

    broker.append = record  # type: ignore[method-assign] # nobody else sees it all
    return places


async def live() -> tuple[list[Node], Places]:
    """Let two nodes live through it."""
    broker = testing.MemoryBroker(delay=random.choice((0, 0.05, 0.3)))
    places = recorded(broker)
    patterns = [("room.*",), ("room.a", "room.>"), ("room.b",), (">", "room.c")]
    nodes = [
        Node(name, broker, [Reader(patterns.pop()) for _ in range(2)])
        for name in ("here", "there")
    ]
    keep, stays = random.choice((1, 3, 20)), trio.Event()
    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(partial(node.run, keep, stays))
        await do_harm(broker)
        await trio.sleep(20)
        stays.set()
    return nodes, places


def check_what_is_told(node: Node, nodes: list[Node], places: Places) -> None:
    """Check that a publisher was told who gets it, and that at last all got all."""
    for publication in node.published + node.last:
        assert publication.is_replicated is (publication.position is not None)
        if publication.position is not None:
            place = publication.topic, publication.position
            assert places[place] == publication.message
    for publication in node.last:
        assert publication.is_replicated
        for reader in (reader for each in nodes for reader in each.readers):
            wants = reader.wants(publication.topic)
            assert reader.messages[publication.message] == wants


@simulated(seeds=30)
async def test_nothing_comes_twice_gaps_are_announced_and_publishers_told_the_truth(
    net: VirtualNetwork,
) -> None:
    """Whatever the broker does, and whoever comes back when.

    A publication that has a position is everybody's, and when all is well again, all
    get all. Each run is long: so both is looked at in the same ones.
    """
    del net
    nodes, places = await live()
    assert sum(len(node.published) for node in nodes) > 100
    for node in nodes:
        for reader in node.readers:
            reader.check(places)
        check_what_is_told(node, nodes, places)
