"""A session on a network that does its worst: nothing twice, and soon back."""

from __future__ import annotations

import random
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes
from tests.simulation.service import PORT, ignore
from trio_tcp.testing import faults
from trio_tcp.testing.network import Target, VirtualNetwork
from trio_tcp.testing.simulation import run_simulation, simulated

TIMEOUTS = trio_tcp.Timeouts(connect=5, idle=8, message=8, write=8, linger=2)
BACKOFF = trio_tcp.Backoff(initial=0.2, maximum=2, healthy=3)
LOGIN_SECONDS = 5

RECOVERY_SECONDS = TIMEOUTS.idle + BACKOFF.maximum + 1
"""At worst, a connection has just died when the network heals: nobody knows it before
its timeout; then comes the longest delay, and then some round trips. An attempt that is
under way is over sooner."""


class Server:
    """Echoes to those who log in, and keeps what it was sent.

    Attributes:
        received: all messages, over all connections, across all restarts.
        moody: whether logins fail now and then, each in another way.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.moody = False

    async def run(self) -> None:
        await trio_tcp.serve_tcp(self.handle, PORT, codec=CODEC, observer=ignore)

    async def handle(self, connection: Bytes) -> None:
        await connection.receive()
        if self.moody:
            match random.randrange(6):
                case 0:
                    return
                case 1:
                    connection.abort()
                    return
                case 2:
                    await trio.sleep(3600)
                case _:
                    pass
        await connection.send(b"welcome")
        async for each in connection:
            self.received.append(each)
            await connection.send(each)


class Client:
    """Sends message after message, each once, and keeps books of them.

    Attributes:
        sent: what was accepted, for each connection by its number.
        acknowledged: what has come back.
        breaks: how each connection has ended.
        enough: how many messages to have acknowledged.
    """

    def __init__(self, target: str, enough: float = float("inf")) -> None:
        self.sent: dict[int, list[bytes]] = {}
        self.acknowledged: list[bytes] = []
        self.breaks: list[trio_tcp.Break] = []
        self.enough = enough
        self._target = target
        self._next = 0
        self._progress = trio.Event()

    async def log_in(self, connection: Bytes) -> None:
        with trio.fail_after(LOGIN_SECONDS):
            await connection.send(b"login")
            await connection.receive()

    async def run(self) -> None:
        connect = partial(
            trio_tcp.connect_tcp,
            self._target,
            PORT,
            codec=CODEC,
            timeouts=TIMEOUTS,
            observer=ignore,
        )
        async with trio_tcp.open_session(
            connect, backoff=BACKOFF, prepare=self.log_in
        ) as session:
            async for connection in session:
                if session.last_break is not None:
                    self.breaks.append(session.last_break)
                with session.until_broken():
                    await self.converse(session, connection)
                if len(self.acknowledged) >= self.enough:
                    break
        assert session.last_break is not None
        self.breaks.append(session.last_break)

    async def converse(
        self, session: trio_tcp.Session[bytes, bytes], connection: Bytes
    ) -> None:
        sent = self.sent[connection.id] = []
        while len(self.acknowledged) < self.enough:
            fresh: list[bytes] = []
            for _ in range(random.randint(1, 3)):
                self._next += 1
                fresh.append(b"%d" % self._next)
                await connection.send(fresh[-1])
                sent.append(fresh[-1])
            for each in fresh:
                assert await connection.receive() == each
                session.confirm()
                self.acknowledged.append(each)
                self._progress.set()
                self._progress = trio.Event()
            await trio.sleep(random.choice((0, random.random())))

    async def wait_for_progress(self) -> None:
        await self._progress.wait()

    def check(self, received: list[bytes]) -> None:
        """Check that nothing is there twice, and that breaks tell what may be lost."""
        assert len(set(received)) == len(received)
        assert set(self.acknowledged) <= set(received)
        assert [lost.connection_id for lost in self.breaks] == list(self.sent)
        for lost in self.breaks:
            sent = self.sent[lost.connection_id]
            arrived = [each for each in received if each in set(sent)]
            assert arrived == sent[: len(arrived)]
            assert 0 <= len(sent) - len(arrived) <= lost.unconfirmed <= len(sent)
            known = sent[: len(sent) - lost.unconfirmed]
            assert set(known) <= set(self.acknowledged)


def on_the_way(net: VirtualNetwork) -> tuple[Target, ...]:
    """All but the client's host, whose program is not to end."""
    return (
        net.host("server"),
        net.link("client", "server"),
        net.link("server", "client"),
        net.port("server", PORT),
    )


async def count_tasks() -> int:
    """Count all tasks, once each has done what it can."""
    await wait_all_tasks_blocked()
    return trio.lowlevel.current_statistics().tasks_living


@simulated(seeds=60)
async def test_whatever_goes_wrong_it_is_back_soon_and_nothing_is_there_twice(
    net: VirtualNetwork,
) -> None:
    net.set_links(latency=0.005, jitter=0.02)
    tasks = await count_tasks()
    server, client = Server(), Client("server")
    net.host("server").start(server.run)
    kinds = random.choice(
        (
            (faults.Crash.draw,),
            (faults.Partition.draw, faults.BlackHole.draw),
            (faults.Reset.draw, faults.Cut.draw),
            (*faults.DELAYING, *faults.BREAKING, faults.Crash.draw),
        )
    )
    chaos = faults.Chaos(
        faults=kinds, on=on_the_way(net), seconds=15, longest=10, pause=2, quiet=0
    )
    async with trio.open_nursery() as nursery:
        server.moody = random.random() < 0.5
        nursery.start_soon(net.host("client").run, client.run)
        async with chaos.running(net):
            await trio.sleep(chaos.seconds)
        server.moody = False
        with trio.fail_after(RECOVERY_SECONDS):
            await client.wait_for_progress()
        client.enough = len(client.acknowledged) + 3
    client.check(server.received)
    net.host("server").crash()
    assert await count_tasks() == tasks


@simulated(seeds=30)
async def test_a_server_that_has_moved_is_found(net: VirtualNetwork) -> None:
    net.set_links(latency=0.005, jitter=0.02)
    server, client = Server(), Client("service")
    for name in ("old", "new"):
        net.host(name).start(server.run)
        await net.settle()
    net.dns["service"] = list(net.host("old").addresses)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(net.host("client").run, client.run)
        await trio.sleep(random.uniform(0, 5))
        net.host("old").crash()
        await trio.sleep(random.uniform(0, 20))
        net.dns["service"] = list(net.host("new").addresses)
        with trio.fail_after(RECOVERY_SECONDS):
            await client.wait_for_progress()
        client.enough = len(client.acknowledged) + 3
    client.check(server.received)


@simulated(seeds=30)
async def test_cancelled_at_any_moment_it_leaves_nothing(net: VirtualNetwork) -> None:
    net.set_links(latency=0.005, jitter=0.02)
    tasks = await count_tasks()
    server, client = Server(), Client("server")
    server.moody = True
    net.host("server").start(server.run)
    chaos = faults.Chaos(
        faults=(*faults.BREAKING, faults.Crash.draw),
        on=on_the_way(net),
        seconds=10,
        longest=3,
        pause=1,
    )
    async with chaos.running(net):
        with trio.move_on_after(random.uniform(0, 10)):
            await net.host("client").run(client.run)
    assert len(set(server.received)) == len(server.received)
    net.host("server").crash()
    assert await count_tasks() == tasks


CONVERSATION = 5  # messages
BYTES = (
    9 + CONVERSATION * 6
)  # the login or its answer, and messages, with their lengths


@pytest.mark.parametrize("way", [("client", "server"), ("server", "client")])
def test_a_reset_at_any_byte_of_the_conversation_does_no_harm(
    way: tuple[str, str],
) -> None:
    async def converse(net: VirtualNetwork) -> int:
        server, client = Server(), Client("server", enough=CONVERSATION)
        net.set_links(latency=0.005)
        net.host("server").start(server.run)
        cut = faults.Step(
            at=0, seconds=0.5, fault=faults.Cut(after_bytes=at), on=net.link(*way)
        )
        async with faults.Plan([cut]).running(net):
            with trio.fail_after(cut.seconds + RECOVERY_SECONDS):
                await net.host("client").run(client.run)
        client.check(server.received)
        return len(client.breaks)

    broken = 0
    for at in range(BYTES):
        result = run_simulation(converse, seed=at)
        broken += result.value > 1
    assert broken > CONVERSATION
