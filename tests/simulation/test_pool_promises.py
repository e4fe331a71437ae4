"""Whatever goes wrong: nobody gets another's reply, or waits too long."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, final

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, message
from tests.simulation.service import PORT, ignore
from trio_tcp import Backoff, Timeouts
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

SIZE: Final = 3
TIMEOUTS: Final = Timeouts(connect=3, linger=1)
BACKOFF: Final = Backoff(initial=0.25, maximum=2)
RECOVERY: Final = TIMEOUTS.connect + BACKOFF.maximum + SIZE * 1.0 + 2.0
"""Seconds: an attempt that the fault has met, the longest delay, a check of each that
was idle; and what the network and the others who ask need."""

KINDS: Final = (*faults.DELAYING, *faults.BREAKING, faults.Crash.draw)


async def answer(connection: Bytes) -> None:
    """Answer each request, some of them late."""
    async for request in connection:
        await trio.sleep(random.choice((0, 0, 0, 0.1, 1)))
        await connection.send(b"re: " + request)


@final
class Books:
    """What the clients of a pool have seen.

    Attributes:
        answered: how many requests were.
        open: connections that are not closed.
        most_open: how many at once.
        holders: whose each connection is now.
    """

    def __init__(self) -> None:
        self.answered = 0
        self.open = self.most_open = 0
        self.holders: dict[int, str] = {}

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Bytes, None]:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            async with trio_tcp.connect_tcp(
                "server", PORT, codec=CODEC, timeouts=TIMEOUTS, observer=ignore
            ) as connection:
                yield connection
        finally:
            self.open -= 1

    async def ask(self, connection: Bytes, name: str, number: int) -> None:
        """Send a request, and see that the reply is to this one."""
        request = message(name, number)
        await connection.send(request)
        assert await connection.receive() == b"re: " + request
        self.answered += 1

    @asynccontextmanager
    async def lent(
        self, pool: trio_tcp.Pool[bytes, bytes], name: str
    ) -> AsyncGenerator[Bytes, None]:
        """Have a connection, which nobody else has."""
        async with pool.connection() as connection:
            assert connection.close_reason is None
            assert connection.id not in self.holders
            self.holders[connection.id] = name
            try:
                yield connection
            finally:
                del self.holders[connection.id]


async def ping(connection: Bytes) -> None:
    with trio.fail_after(1):
        await connection.send(b"ping")
        if await connection.receive() != b"re: ping":
            raise AssertionError("another's reply")


async def talk(
    books: Books, pool: trio_tcp.Pool[bytes, bytes], name: str, count: int
) -> None:
    """Have dialogues, losing one's patience with them in one place or another."""
    for number in range(count):
        patience = random.choice((0.05, 0.5, 2, 10))
        begun = trio.current_time()
        with suppress(trio_tcp.ConnectionFault), trio.move_on_after(patience):
            async with books.lent(pool, name) as connection:
                for part in range(random.randrange(4)):
                    inner = random.choice((0.05, 100))
                    with trio.move_on_after(inner) as scope:
                        await books.ask(connection, name, 10 * number + part)
                    if scope.cancelled_caught:
                        break  # and gives it back, as if nothing had happened
                if random.random() < 0.1:
                    connection.abort()
        assert trio.current_time() <= begun + patience  # closing makes nobody wait
        await trio.sleep(random.choice((0, 0, 0.1, 3)))


serve = partial(
    trio_tcp.serve_tcp, answer, PORT, codec=CODEC, timeouts=TIMEOUTS, observer=ignore
)


async def pool_in_chaos(net: VirtualNetwork) -> None:
    net.set_links(latency=0.01, jitter=0.01)
    server, here = net.host("server"), net.host("test")
    server.start(serve)
    books = Books()
    chaos = faults.Chaos(
        faults=KINDS, on=[server, net.path("test", "server")], seconds=20, quiet=0
    )
    async with trio_tcp.open_pool(
        books.connect, size=SIZE, max_idle=5, check=ping, backoff=BACKOFF
    ) as pool:
        async with chaos.running(net), trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(talk, books, pool, f"client{number}", 8)
        assert not books.holders
        with trio.fail_after(RECOVERY):
            async with books.lent(pool, "afterwards") as connection:
                await books.ask(connection, "afterwards", 0)
        statistics = pool.statistics()
        assert statistics.waiting == statistics.in_use == 0
        assert books.answered > 0
        assert books.most_open <= SIZE
        # What nobody needs any more goes away by itself, and nothing else is tried.
        await trio.sleep(30)
        assert books.open == 0
    assert here.is_up


@simulated(seeds=30)
async def test_the_right_reply_or_none_and_in_time(net: VirtualNetwork) -> None:
    await pool_in_chaos(net)


@simulated(seeds=50)
async def test_a_connection_cut_at_any_byte_is_not_handed_out(
    net: VirtualNetwork,
) -> None:
    net.host("server").start(serve)
    await net.settle()
    books = Books()
    link = random.choice((net.link("test", "server"), net.link("server", "test")))
    async with trio_tcp.open_pool(books.connect, size=1, backoff=BACKOFF) as pool:
        with net.inject(faults.Cut(after_bytes=random.randrange(80)), on=link):
            with suppress(trio_tcp.ConnectionFault):
                async with books.lent(pool, "first") as connection:
                    for number in range(3):
                        await books.ask(connection, "first", number)
            await trio.sleep(random.choice((0, 0.0015, 1)))
        with trio.fail_after(RECOVERY):
            for number in range(3):
                # A reset may still be on its way when it is handed out for once.
                with suppress(trio_tcp.ConnectionBroken):
                    async with books.lent(pool, "second") as connection:
                        await books.ask(connection, "second", number)
            async with books.lent(pool, "third") as connection:
                await books.ask(connection, "third", 0)
    assert books.most_open == 1


@simulated(seeds=100)
async def test_cancelled_anywhere_it_leaves_the_pool_whole(net: VirtualNetwork) -> None:
    """Waiting, connecting, checking, talking, giving back; before and after others."""
    net.set_links(latency=1 / 64)
    net.host("server").start(serve)
    await net.settle()
    books = Books()

    async def use(name: str, scope: trio.CancelScope) -> None:
        with scope:
            for number in range(3):
                async with books.lent(pool, name) as connection:
                    await books.ask(connection, name, number)

    async def cancel(scope: trio.CancelScope) -> None:
        await trio.sleep(random.randrange(16) / 64)
        for _ in range(random.randrange(12)):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio_tcp.open_pool(
        books.connect, size=2, check=ping, backoff=BACKOFF
    ) as pool:
        async with trio.open_nursery() as nursery:
            for number in range(4):
                scope = trio.CancelScope()
                nursery.start_soon(use, f"client{number}", scope)
                if number:
                    nursery.start_soon(cancel, scope)
        assert not books.holders
        with trio.fail_after(10):
            async with books.lent(pool, "a") as one, books.lent(pool, "b") as other:
                await books.ask(one, "a", 0)
                await books.ask(other, "b", 0)
        assert books.most_open == 2
    assert books.open == 0
