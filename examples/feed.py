"""A feed of prices for ten thousand, some of whom do not keep up.

    python examples/feed.py serve [--port PORT] [--every SECONDS]
    python examples/feed.py demo [--clients N] [--slow N] [--seconds S]

``serve`` is the feed. A client says in one line what it wants, such as ``price.eur`` or
``price.*``, and gets a line for each change: topic, number, price, and what is offered
beyond that. It begins with the price as it is. Try ``nc 127.0.0.1 8888``; Ctrl-C ends
it.

Whoever reads too slowly holds up nobody. What waits for it is the newest price of each
topic, and never more: an old price is worth nothing once there is a newer one.

``demo`` starts the feed as a process of its own, and connects as many clients, of whom
some fall asleep. When these wake up, they have missed most of what was published, and
have the newest price of everything a moment later; meanwhile the memory of the feed has
not grown.
"""

import argparse
import itertools
import math
import random
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import attrs
import trio

import trio_tcp
from trio_tcp import codecs

Connection: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines()
HOST = "127.0.0.1"
SYMBOLS = ["aud", "cad", "chf", "cny", "eur", "gbp", "jpy", "nok", "sek", "usd"]
PRICES = "price.*"
OFFERS = 50  # in each line
SERVER = "server"  # the topic of what the feed says about itself

# The feed -----------------------------------------------------------------------------

# What the kernel has taken cannot be replaced any more, and Linux would take megabytes.
SEND_BUFFER = 16 << 10

# Who has said what it wants says nothing more, and need not: prices are sent to it. Who
# takes none of them is given up after five minutes.
TIMEOUTS = trio_tcp.Timeouts(write=300)

hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={PRICES: 1})


def render(item: trio_tcp.Publication[str] | trio_tcp.Lagged) -> str | None:
    """Make the line of a publication; nothing is told about those left out."""
    if isinstance(item, trio_tcp.Lagged):
        return None
    return f"{item.topic} {item.message}"


async def subscriber(connection: Connection) -> None:
    """Serve one client, until it goes."""
    topics = (await connection.receive()).split()
    try:
        attachment = hub.attach(
            connection, *topics, render=render, when_full="keep_latest", last=1
        )
    except ValueError as error:
        await connection.send(f"error: {error}")
        return
    with attachment:
        async for _ in connection:
            pass  # it has said what it wants


async def market(every: float) -> None:
    """Change a price every so many seconds."""
    chance = random.Random(0)
    prices = dict.fromkeys(SYMBOLS, 1.0)
    for number in itertools.count(1):
        symbol = chance.choice(SYMBOLS)
        prices[symbol] *= math.exp(chance.gauss(0, 1e-4))
        price = prices[symbol]
        offers = [
            f"{chance.randrange(1000)}@{price * (1 + step * 1e-5):.6f}"
            for step in range(OFFERS)
        ]
        line = f"{number} {price:.6f} {' '.join(offers)}"
        await hub.publish(f"price.{symbol}", line)
        await trio.sleep(every)


async def tell_memory() -> None:
    """Publish once a second how much memory this process has needed at most."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes, or KiB
    while True:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        await hub.publish(SERVER, f"{peak / 1e6:.1f}")
        await trio.sleep(1)


async def serve(port: int, every: float) -> None:
    """Be the feed."""
    listeners = await trio_tcp.open_tcp_listeners(port, host=HOST)
    for listener in listeners:  # what it accepts inherits this
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    print(f"listening on {HOST}:{listeners[0].socket.getsockname()[1]}", flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(market, every)
        nursery.start_soon(tell_memory)
        await trio_tcp.serve_listeners(
            subscriber,
            listeners,
            codec=LINES,
            limits=trio_tcp.Limits(max_connections=20_000),
            timeouts=TIMEOUTS,
        )


# The demonstration --------------------------------------------------------------------

RECEIVE_BUFFER = 4 << 10


@attrs.define
class Client:
    """One who wants all prices, and what it has got.

    Attributes:
        lines: how many.
        numbers: of the last publication, by topic.
    """

    lines: int = 0
    numbers: dict[str, int] = attrs.Factory(dict[str, int])

    async def read(self, connection: Connection) -> None:
        """Take one line."""
        topic, number, _ = (await connection.receive()).split(" ", 2)
        self.lines += 1
        self.numbers[topic] = int(number)

    @property
    def newest(self) -> int:
        """The last publication that it has."""
        return max(self.numbers.values(), default=0)

    def has(self, numbers: dict[str, int]) -> bool:
        """Whether it has these prices, or newer ones."""
        return all(
            self.numbers.get(topic, 0) >= number for topic, number in numbers.items()
        )


@asynccontextmanager
async def subscribed(port: int, topics: str) -> AsyncGenerator[Connection]:
    """Connect a client that does not end by itself."""
    async with trio_tcp.connect_tcp(HOST, port, codec=LINES) as connection:
        await connection.send(topics)
        yield connection


async def keep_up(
    port: int, me: Client, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read whatever comes."""
    async with subscribed(port, PRICES) as connection:
        await me.read(connection)
        task_status.started()
        while True:
            await me.read(connection)


@attrs.define
class Sleeper:
    """One who sleeps, and wakes up.

    Attributes:
        client: what it has got.
        until: when it is to wake up.
        awake: it has all prices as they were when it woke up.
        catching_up: how long that took, in seconds.
    """

    client: Client = attrs.Factory(Client)
    until: trio.Event = attrs.Factory(trio.Event)
    awake: trio.Event = attrs.Factory(trio.Event)
    catching_up: float = math.nan

    async def oversleep(
        self,
        port: int,
        healthy: Client,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Subscribe, sleep, and catch up with one who does not sleep."""
        # A small device: its kernel does not keep much for it. To be said beforehand.
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        await sock.connect((HOST, port))
        stream = trio.SocketStream(sock)
        async with trio_tcp.open_connection(stream, codec=LINES) as connection:
            await connection.send(PRICES)
            await self.client.read(connection)
            task_status.started()
            await self.until.wait()
            then, wanted = trio.current_time(), dict(healthy.numbers)
            while not self.client.has(wanted):
                await self.client.read(connection)
            self.catching_up = trio.current_time() - then
            self.awake.set()


async def watch_memory(
    port: int,
    megabytes: list[float],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Note what the feed says about its memory."""
    async with subscribed(port, SERVER) as connection:
        async for line in connection:
            megabytes.append(float(line.split()[1]))
            if len(megabytes) == 1:
                task_status.started()


async def demonstrate(port: int, clients: int, slow: int, seconds: float) -> None:
    """Connect all, wait, wake up those who sleep, and say what has come of it."""
    healthy = [Client() for _ in range(clients - slow)]
    sleepers = [Sleeper() for _ in range(slow)]
    megabytes: list[float] = []
    async with trio.open_nursery() as nursery:
        for client in healthy:
            await nursery.start(keep_up, port, client)
        for sleeper in sleepers:
            await nursery.start(sleeper.oversleep, port, healthy[0])
        print(f"{clients} clients are there, and {slow} fall asleep", flush=True)
        await nursery.start(watch_memory, port, megabytes)
        lines = [client.lines for client in healthy]
        first = healthy[0].newest
        await trio.sleep(seconds)
        published = healthy[0].newest - first
        got = [client.lines - n for client, n in zip(healthy, lines, strict=True)]
        for sleeper in sleepers:
            sleeper.until.set()
        for sleeper in sleepers:
            await sleeper.awake.wait()
        nursery.cancel_scope.cancel()
    report(published, got, sleepers, megabytes)


def report(
    published: int,
    got: Sequence[int],
    sleepers: Sequence[Sleeper],
    megabytes: Sequence[float],
) -> None:
    """Say what has come of it."""
    print(f"published: {published} prices, to each client")
    print(f"those who read got {min(got)} to {max(got)} of them")
    if sleepers:
        lines = [sleeper.client.lines for sleeper in sleepers]
        longest = max(sleeper.catching_up for sleeper in sleepers)
        print(f"those who slept got {min(lines)} to {max(lines)} lines, and have the")
        print(f"newest of each price {longest:.3f} s after they woke up")
    print(f"memory of the feed: {megabytes[0]} MB, {megabytes[-1]} MB at the end")


async def demo(clients: int, slow: int, seconds: float, every: float) -> None:
    """Start the feed, and the clients."""
    command = [sys.executable, __file__, "serve", "--port=0", f"--every={every}"]
    async with trio.open_nursery() as nursery:
        feed: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert feed.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            said += await feed.stdout.receive_some()
        await demonstrate(int(said.rpartition(b":")[2]), clients, slow, seconds)
        nursery.cancel_scope.cancel()  # ends the process, too


def main() -> None:
    """Be the feed, or show it."""
    parser = argparse.ArgumentParser(description="A feed of prices.")
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    server = roles.add_parser("serve", help="be the feed")
    server.add_argument("--port", type=int, default=8888)
    show = roles.add_parser("demo", help="be the feed and its clients")
    show.add_argument("--clients", type=int, default=10_000)
    show.add_argument("--slow", type=int, default=100)
    show.add_argument("--seconds", type=float, default=30)
    for role in server, show:
        role.add_argument("--every", type=float, default=0.4, help="seconds")
    args = parser.parse_args()
    allow_files()
    try:
        if args.role == "serve":
            trio.run(serve, args.port, args.every)
        else:
            trio.run(demo, args.clients, args.slow, args.seconds, args.every)
    except* KeyboardInterrupt:
        print("closed")


def allow_files() -> None:
    """Allow this process as many open files as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sys.platform != "darwin" and soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
