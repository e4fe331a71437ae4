"""A hub whose subscribers stall, break, crash and come back: every gap is announced."""

from __future__ import annotations

import random
import re
from functools import partial

import attrs
import trio

import trio_tcp
from tests.simulation.service import PORT, ignore
from trio_tcp import Lagged, Position, Publication, codecs
from trio_tcp._hub import WhenFull
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

CODEC = codecs.Lines(max_bytes=1 << 20)
TIMEOUTS = trio_tcp.Timeouts(connect=5, idle=8, message=8, write=8, linger=2)
BACKOFF = trio_tcp.Backoff(initial=0.2, maximum=2, healthy=3)
TOPICS: tuple[str, ...] = ("room.a", "room.b", "room.c")
PADDING = "." * 2_000

Text = trio_tcp.Connection[str, str]


def render(item: Publication[int] | Lagged) -> str:
    """Write what a subscriber gets as one line."""
    if isinstance(item, Lagged):
        return f"lagged {item.missed}"
    return f"{item.topic} {item.position} {item.message} {PADDING}"


@attrs.define(eq=False)
class Server:
    """Publishes numbers in rooms, and sends them to those who ask, from where they are.

    Attributes:
        published: how many numbers so far, by topic; across all restarts.
        keep: how long the history of a topic is.
        when_full: what becomes of what a client has no room for.
    """

    published: dict[str, int]
    keep: int
    when_full: WhenFull

    async def run(self) -> None:
        """Serve, and publish."""
        hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"room.*": self.keep})
        handler = partial(self.handle, hub)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(
                    trio_tcp.serve_tcp,
                    handler,
                    PORT,
                    codec=CODEC,
                    timeouts=TIMEOUTS,
                    observer=ignore,
                )
            )
            for topic in TOPICS:
                nursery.start_soon(self.publish, hub, topic)

    async def publish(self, hub: trio_tcp.Hub[int], topic: str) -> None:
        """Publish the next numbers of a topic, at any time."""
        while True:
            await trio.sleep(random.expovariate(4))
            for _ in range(random.choice((1, 1, 1, 10))):
                number = self.published[topic]
                self.published[topic] += 1
                await hub.publish(topic, number)

    async def handle(self, hub: trio_tcp.Hub[int], connection: Text) -> None:
        """Serve one client: it says which topics it has, and up to where."""
        asked = dict(pair.split("=") for pair in (await connection.receive()).split())
        with hub.attach(
            connection,
            "room.*",
            render=render,
            capacity=5,
            when_full=self.when_full,
            after={
                topic: Position.parse(text) for topic, text in asked.items() if text
            },
        ):
            async for _ in connection:
                pass


class Client:
    """Reads, now and then slowly, and comes back to where it was.

    Attributes:
        got: what came: the numbers of each topic, and None where something is missing.
    """

    def __init__(self) -> None:
        self.got: dict[str, list[int | None]] = {topic: [] for topic in TOPICS}
        self._positions: dict[str, str] = dict.fromkeys(TOPICS, "")
        self._has_news = trio.Event()

    async def run(self) -> None:
        """Stay subscribed."""
        connect = partial(
            trio_tcp.connect_tcp,
            "server",
            PORT,
            codec=CODEC,
            timeouts=TIMEOUTS,
            observer=ignore,
        )
        async with trio_tcp.open_session(connect, backoff=BACKOFF) as session:
            async for connection in session:
                with session.until_broken():
                    pairs = (f"{t}={at}" for t, at in self._positions.items())
                    await connection.send(" ".join(pairs))
                    await self.listen(connection)

    async def listen(self, connection: Text) -> None:
        """Read what comes."""
        for topic in TOPICS:
            if not self._positions[topic]:  # its numbers may begin anywhere
                self.got[topic].append(None)
        async for line in connection:
            if line.startswith("lagged"):
                assert re.fullmatch(r"lagged (None|[1-9]\d*)", line)
                for topic in TOPICS:
                    self.got[topic].append(None)
            else:
                topic, position, number, _ = line.split(" ", 3)
                self.got[topic].append(int(number))
                self._positions[topic] = position
            self._has_news.set()
            self._has_news = trio.Event()
            if random.random() < 0.1:
                await trio.sleep(random.choice((0.1, 1, 5)))

    async def wait_for_news(self) -> None:
        """Wait until something comes."""
        await self._has_news.wait()

    def check(self) -> None:
        """Check that numbers rise, and that none is missing where nothing was said."""
        for topic, got in self.got.items():
            last: int | None = None
            is_announced = True
            for number in got:
                if number is None:
                    is_announced = True
                    continue
                assert last is None or number > last, f"{topic}: {number} after {last}"
                gap = last is not None and number != last + 1
                assert is_announced or not gap, f"{topic}: {number} after {last}"
                last, is_announced = number, False


async def live(net: VirtualNetwork, when_full: WhenFull) -> list[Client]:
    """Let clients live through half a minute of everything, then check that they do."""
    server = Server(dict.fromkeys(TOPICS, 0), random.choice((1, 3, 20)), when_full)
    host = net.host("server")
    host.start(server.run)
    clients = [Client() for _ in range(3)]
    for number, client in enumerate(clients):
        net.host(f"client{number}").start(client.run)
    async with faults.Chaos(seconds=20).running(net):
        if random.random() < 0.3:
            await trio.sleep(random.uniform(1, 15))
            host.crash()
            await trio.sleep(random.uniform(0, 5))
            host.restart()
    with trio.fail_after(TIMEOUTS.idle + TIMEOUTS.write + 30):
        for client in clients:
            await client.wait_for_news()
    for client in clients:
        client.check()
    return clients


@simulated(seeds=12)
async def test_what_is_left_out_is_announced(net: VirtualNetwork) -> None:
    """Of the oldest as of the newest."""
    policies: list[WhenFull] = ["drop_oldest", "drop_newest"]
    await live(net, random.choice(policies))


@simulated(seeds=8)
async def test_who_is_disconnected_comes_back_to_where_it_was(
    net: VirtualNetwork,
) -> None:
    """What is no longer kept is announced then."""
    await live(net, "disconnect")


@simulated(seeds=8)
async def test_who_makes_others_wait_misses_nothing(net: VirtualNetwork) -> None:
    """While it is there."""
    await live(net, "wait")
