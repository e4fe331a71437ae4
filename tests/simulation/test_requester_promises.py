"""Requesters among servers and a network that do their worst.

The server keeps books, which are on its disk: they outlive its crashes. At the end they
are compared to what those who asked were told.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeAlias

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes
from tests.simulation.service import PORT, ignore
from trio_tcp.testing import faults
from trio_tcp.testing.network import Host, Target, VirtualNetwork
from trio_tcp.testing.simulation import simulated

Ask: TypeAlias = Callable[[bytes], Awaitable[bytes]]
Requester: TypeAlias = trio_tcp.ReconnectingRequester[bytes, bytes]

TIMEOUTS: Final = trio_tcp.Timeouts(
    connect=3, first_message=20, idle=20, message=5, write=5, linger=1
)
REPLY_TIMEOUT: Final = 4
BACKOFF: Final = trio_tcp.Backoff(initial=0.1, maximum=1, healthy=2)
RECOVERY: Final = 30
"""Seconds: to notice that a connection is dead, to connect again, and to be asked."""


def id_of(message: bytes) -> bytes | None:
    """Find the id in requests and replies; news has none."""
    head = message.partition(b";")[0]
    return None if head == b"news" else head


class Books:
    """A server's handlers, and how often each request was carried out."""

    def __init__(self) -> None:
        self.done: Counter[bytes] = Counter()

    async def answer(self, request: bytes) -> bytes:
        self.done[request] += 1
        if random.random() < 0.3:
            await trio.sleep(random.random())
        return request + b" done"

    async def answer_in_any_order(self, connection: Bytes) -> None:
        async def answer(request: bytes) -> None:
            with suppress(trio_tcp.ConnectionFault):
                await connection.send(await self.answer(request))

        async with trio.open_nursery() as nursery:
            async for request in connection:
                nursery.start_soon(answer, request)
                if random.random() < 0.2:
                    await connection.send(b"news;")

    async def serve(self, *, in_order: bool) -> None:
        await trio_tcp.serve_tcp(
            trio_tcp.respond(self.answer) if in_order else self.answer_in_any_order,
            PORT,
            codec=CODEC,
            timeouts=TIMEOUTS,
            observer=ignore,
        )


class Asker:
    """Asks, in time, and keeps what it was told."""

    def __init__(self, name: str, *, longest: int = 20) -> None:
        self.name = name
        self.longest = longest
        self.asked: list[bytes] = []
        self.acknowledged: set[bytes] = set()
        self.never_sent: set[bytes] = set()

    async def ask(self, ask: Ask, seconds: float) -> bool:
        """Ask once; say whether there was a reply, which is right."""
        message = f"{self.name}#{len(self.asked)};".encode() * random.randint(
            1, self.longest
        )
        message += b"?"
        self.asked.append(message)
        began = trio.current_time()
        try:
            with trio.move_on_after(seconds):
                assert await ask(message) == message + b" done"
                self.acknowledged.add(message)
        except trio_tcp.ConnectionLost as lost:
            if not lost.may_have_been_processed:
                self.never_sent.add(message)
        assert trio.current_time() <= began + seconds + 1e-6
        return message in self.acknowledged

    async def ask_often(self, ask: Ask) -> None:
        for _ in range(6):
            await self.ask(ask, random.uniform(0.2, 5))
            await trio.sleep(random.random() * 0.5)

    async def ask_until_answered(self, ask: Ask) -> None:
        while not await self.ask(ask, RECOVERY):
            pass

    def check(self, books: Books, *, repeatable: bool) -> None:
        for message in self.asked:
            if message in self.acknowledged:
                assert books.done[message] >= 1
            if message in self.never_sent:
                assert books.done[message] == 0
            if not repeatable:
                assert books.done[message] <= 1


connect = partial(
    trio_tcp.connect_tcp,
    "server",
    PORT,
    codec=CODEC,
    timeouts=TIMEOUTS,
    observer=ignore,
)


@asynccontextmanager
async def open_requester(*, in_order: bool) -> AsyncGenerator[Requester, None]:
    async with trio_tcp.open_requester(
        connect,
        correlate=None if in_order else id_of,
        max_in_flight=4,
        max_unsolicited=5,
        reply_timeout=REPLY_TIMEOUT,
        backoff=BACKOFF,
    ) as requester:
        yield requester


def chaos_between(net: VirtualNetwork, server: Host) -> faults.Chaos:
    targets: list[Target] = [server, net.path("client", "server")]
    targets += [net.link("client", "server"), net.link("server", "client")]
    return faults.Chaos(
        faults=(*faults.DELAYING, *faults.BREAKING, faults.Crash.draw),
        on=targets,
        seconds=10,
        longest=4,
        pause=1,
        quiet=0,
    )


async def ask_in_chaos(net: VirtualNetwork, *, in_order: bool) -> None:
    """Some who ask for what may be done twice, some for what may not."""
    net.set_links(latency=0.005, jitter=0.01, loss=0.01)
    books = Books()
    once = [Asker(f"once{number}") for number in range(4)]
    often = [Asker(f"often{number}") for number in range(4)]

    async def ask_all() -> None:
        async with open_requester(in_order=in_order) as requester:
            async with trio.open_nursery() as nursery:
                for asker in once:
                    nursery.start_soon(asker.ask_often, requester.request)
                for asker in often:
                    nursery.start_soon(asker.ask_often, requester.request_repeatable)
                await chaos_is_over.wait()
            with trio.fail_after(RECOVERY):
                await once[0].ask_until_answered(requester.request)
            assert requester.statistics().waiting == 0

    chaos_is_over = trio.Event()
    server = net.host("server")
    server.start(partial(books.serve, in_order=in_order))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(net.host("client").run, ask_all)
        async with chaos_between(net, server).running(net):
            pass
        chaos_is_over.set()
    for asker in once:
        asker.check(books, repeatable=False)
    for asker in often:
        asker.check(books, repeatable=True)


@simulated(seeds=30)
async def test_in_chaos_replies_in_order_are_right_and_nothing_is_done_twice(
    net: VirtualNetwork,
) -> None:
    await ask_in_chaos(net, in_order=True)


@simulated(seeds=30)
async def test_in_chaos_replies_by_id_are_right_and_nothing_is_done_twice(
    net: VirtualNetwork,
) -> None:
    await ask_in_chaos(net, in_order=False)


@simulated(seeds=30)
async def test_what_was_not_sent_when_a_connection_was_lost_was_not_done(
    net: VirtualNetwork,
) -> None:
    """Over one connection, and the next by hand."""
    net.set_links(latency=0.005, jitter=0.01)
    books = Books()
    askers = [Asker(f"asker{number}") for number in range(6)]

    async def ask_over_one() -> None:
        async with (
            connect() as connection,
            trio_tcp.Requester(
                connection, max_in_flight=2, reply_timeout=REPLY_TIMEOUT
            ) as requester,
            trio.open_nursery() as nursery,
        ):
            for asker in askers:
                nursery.start_soon(asker.ask_often, requester.request)

    async def ask_over_some() -> None:
        while not chaos_is_over.is_set():
            with suppress(trio_tcp.ConnectError, trio_tcp.ConnectionFault):
                await ask_over_one()
            await trio.sleep(0.1)

    chaos_is_over = trio.Event()
    server = net.host("server")
    server.start(partial(books.serve, in_order=True))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(net.host("client").run, ask_over_some)
        async with chaos_between(net, server).running(net):
            pass
        chaos_is_over.set()
    for asker in askers:
        asker.check(books, repeatable=False)


@simulated(seeds=20)
async def test_a_server_that_has_gone_silent_is_left_in_time(
    net: VirtualNetwork,
) -> None:
    """Though all who asked it have given up, and only their places are still taken."""
    net.set_links(latency=0.005, jitter=0.01)
    books, asker = Books(), Asker("asker")
    server = net.host("server")
    server.start(partial(books.serve, in_order=True))
    silences: list[tuple[faults.Fault, Target]] = [
        (faults.Pause(), server),
        (faults.Partition(), net.path("client", "server")),
        (faults.BlackHole(), net.link("server", "client")),
        (faults.BlackHole(), net.link("client", "server")),
        (faults.Stall(), net.link("server", "client")),
    ]
    silence, on = random.choice(silences)

    async def ask_all() -> None:
        async with open_requester(in_order=True) as requester:
            await asker.ask_until_answered(requester.request)
            with net.inject(silence, on=on), trio.fail_after(REPLY_TIMEOUT + 0.1):
                async with trio.open_nursery() as nursery:
                    for _ in range(10):  # more than the window has places
                        nursery.start_soon(asker.ask, requester.request, 0.5)
                await requester.wait_for(trio_tcp.Waiting)
            with trio.fail_after(RECOVERY):
                await asker.ask_until_answered(requester.request)

    await net.host("client").run(ask_all)
    asker.check(books, repeatable=False)


async def converse(
    net: VirtualNetwork, books: Books, name: str, cut: faults.Cut | None, link: Target
) -> trio_tcp.ConnectionStatistics:
    """Have six things asked, and the first connection cut; return its counters."""
    once = Asker(f"once{name}", longest=1)
    often = Asker(f"often{name}", longest=1)
    connections: list[Bytes] = []

    @asynccontextmanager
    async def connect_and_keep() -> AsyncGenerator[Bytes, None]:
        async with connect() as connection:
            connections.append(connection)
            yield connection

    async with (
        trio_tcp.open_requester(connect_and_keep, backoff=BACKOFF) as requester,
        trio.open_nursery() as nursery,
    ):
        await requester.wait_for(trio_tcp.Ready)
        injection = None if cut is None else net.inject(cut, on=link)
        for _ in range(3):
            nursery.start_soon(once.ask, requester.request, RECOVERY)
            nursery.start_soon(often.ask, requester.request_repeatable, RECOVERY)
        if injection is not None:
            await requester.wait_for(trio_tcp.Waiting)
            injection.end()
    once.check(books, repeatable=False)
    often.check(books, repeatable=True)
    assert len(often.acknowledged) == 3
    assert len(once.acknowledged) == 3 or cut is not None
    return connections[0].statistics()


@simulated(seeds=1)
async def test_a_reset_at_any_byte_loses_nothing_that_may_be_sent_again(
    net: VirtualNetwork,
) -> None:
    books = Books()
    net.host("server").start(partial(books.serve, in_order=True))

    async def cut_everywhere() -> None:
        whole = await converse(net, books, "all", None, net.link("client", "server"))
        links = [
            (net.link("client", "server"), whole.bytes_sent),
            (net.link("server", "client"), whole.bytes_received),
        ]
        for number, (link, size) in enumerate(links):
            assert size > 50
            for after in range(size):
                cut = faults.Cut(after_bytes=after)
                await converse(net, books, f"{number}{after:02}", cut, link)

    await net.host("client").run(cut_everywhere)
