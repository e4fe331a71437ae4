"""A server among clients and a network that do their worst, and after that."""

from __future__ import annotations

import random
import ssl

import pytest
import trio

import trio_tcp
from tests.certificates import HOST as CERTIFIED
from tests.certificates import client_context, server_context
from tests.simulation.numbered import CODEC, Bytes, check_in_order, message
from tests.simulation.service import PORT, ignore, serving
from trio_tcp.testing import faults
from trio_tcp.testing.network import Target, VirtualNetwork
from trio_tcp.testing.simulation import simulated

HOSTS = ("a", "b", "c")
TIMEOUTS = trio_tcp.Timeouts(
    connect=5, first_message=8, idle=20, handshake=8, message=8, write=8, linger=2
)
SERVER_TLS = server_context()
CLIENT_TLS = client_context()
CONVERSATIONS = 2
MESSAGES = 4


async def converse(sender: str, tls: ssl.SSLContext | None = None) -> None:
    """Have messages echoed, some at a time; what comes back is right or does not."""
    async with trio_tcp.connect_tcp(
        "server",
        PORT,
        codec=CODEC,
        tls=tls,
        server_hostname=None if tls is None else CERTIFIED,
        timeouts=TIMEOUTS,
        observer=ignore,
    ) as connection:
        sent = received = 0
        while received < MESSAGES:
            for _ in range(random.randint(1, MESSAGES - sent)):
                await connection.send(message(sender, sent))
                sent += 1
            while received < sent:
                assert await connection.receive() == message(sender, received)
                received += 1
            await trio.sleep(random.random())


class Client:
    """Converses until it went well often enough, also when its host was restarted."""

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.tls = tls
        self.attempts = 0
        self.whole = 0
        self.done = trio.Event()

    async def run(self) -> None:
        while self.whole < CONVERSATIONS:
            self.attempts += 1
            try:
                await converse(f"{self.name}{self.attempts}", self.tls)
            except (trio_tcp.ConnectError, trio_tcp.ConnectionFault):
                await trio.sleep(random.random())
            else:
                self.whole += 1
        self.done.set()


class Echo:
    """A handler that keeps what it received, for each connection."""

    def __init__(self) -> None:
        self.received: dict[int, list[bytes]] = {}

    async def __call__(self, connection: Bytes) -> None:
        received = self.received[connection.id] = []
        async for each in connection:
            received.append(each)
            await connection.send(each)

    def check(self) -> None:
        for received in self.received.values():
            check_in_order(received)


async def serve_in_a_storm(
    net: VirtualNetwork,
    *,
    server_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
) -> None:
    """Two slots for three clients: those of the dead must become free."""
    net.set_links(latency=0.005, jitter=0.01, loss=0.02)
    echo = Echo()
    limits = trio_tcp.Limits(max_connections=2)
    clients = [Client(name, client_tls) for name in HOSTS]
    async with serving(
        net, echo, tls=server_tls, limits=limits, timeouts=TIMEOUTS
    ) as service:
        for client in clients:
            net.host(client.name).start(client.run)
        chaos = faults.Chaos(
            faults=(*faults.DELAYING, *faults.BREAKING, faults.Crash.draw),
            on=_client_side(net),
            seconds=4,
            longest=3,
            pause=0.9,
            quiet=30,
        )
        async with chaos.running(net):
            while trio.current_time() < chaos.seconds:
                await trio.sleep(1)
                service.check()
        with trio.fail_after(120):
            for client in clients:
                await client.done.wait()
        with trio.fail_after(40):
            await net.host("a").run(converse, "the last one", client_tls)
    echo.check()


@simulated(seeds=200)
async def test_nothing_is_ever_wrong_and_everybody_is_served_in_the_end(
    net: VirtualNetwork,
) -> None:
    await serve_in_a_storm(net)


@simulated(seeds=10)
async def test_that_is_so_over_tls(net: VirtualNetwork) -> None:
    """Its bytes are from no seed, but their number and their times are."""
    await serve_in_a_storm(net, server_tls=SERVER_TLS, client_tls=CLIENT_TLS)


def _client_side(net: VirtualNetwork) -> tuple[Target, ...]:
    """All but the server's host, which is not to crash."""
    hosts = [net.host(name) for name in HOSTS]
    links = [net.link(name, "server") for name in HOSTS]
    back = [net.link("server", name) for name in HOSTS]
    return (*hosts, *links, *back, net.port("server", PORT))


@simulated(seeds=200)
async def test_a_client_does_not_notice_what_becomes_of_another(
    net: VirtualNetwork,
) -> None:
    """Its round trips take what its own link takes, to the microsecond."""

    async def measure() -> None:
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, observer=ignore
        ) as connection:
            for number in range(8):
                began = trio.current_time()
                await connection.send(message("calm", number))
                answer = await connection.receive()
                assert answer == message("calm", number)
                assert trio.current_time() - began == pytest.approx(2 * 0.03)
                await trio.sleep(0.2)

    net.set_links(latency=0.03)
    echo = Echo()
    async with serving(net, echo, timeouts=TIMEOUTS):
        for name in HOSTS:
            net.host(name).start(Client(name).run)
        net.set_links("server", loss=0.05, jitter=0.02)
        net.set_links("server", "calm", loss=0, jitter=0)
        chaos = faults.Chaos(
            faults=(*faults.DELAYING, *faults.BREAKING, faults.Crash.draw),
            on=[net.host(name) for name in HOSTS],
            seconds=3,
            longest=2,
            pause=0.4,
            quiet=0,
        )
        async with chaos.running(net):
            await net.host("calm").run(measure)
    echo.check()


@simulated(seeds=200)
async def test_a_full_server_says_so_or_serves(net: VirtualNetwork) -> None:
    """A farewell is whole, a refusal counted, and a place free as soon as it is."""
    net.set_links(latency=0.01, jitter=0.01)
    limits = trio_tcp.Limits(
        max_connections=2, when_full="reject", farewell=CODEC.encode(b"full")
    )
    outcomes: list[str] = []

    async def ask(number: int) -> None:
        await trio.sleep(random.random() * 0.5)
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, observer=ignore
        ) as connection:
            try:
                if number % 2:
                    await connection.send(message(f"{number}", 0))
                answer = await connection.receive()
                with pytest.raises(trio_tcp.PeerClosed):
                    await connection.receive()
            except trio_tcp.ConnectionBroken:  # what it sent was never read
                outcomes.append("full")
            else:
                assert answer in {b"full", b"welcome"}
                outcomes.append(answer.decode())

    async def welcome(connection: Bytes) -> None:
        await connection.send(b"welcome")
        await trio.sleep(0.3)

    async with serving(net, welcome, limits=limits) as service:
        with net.inject(faults.Slice(1, 3)), net.inject(faults.ShortWrites(6)):
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    name = f"client{number % 3}"
                    nursery.start_soon(net.host(name).run, ask, number)
        await trio.sleep(1)
        assert outcomes.count("full") == service.rejected
        assert outcomes.count("welcome") == len(service.ended) >= 2
        await ask(0)
        assert outcomes[-1] == "welcome"
