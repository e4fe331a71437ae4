"""A server that ends in order loses nothing, and ends, whatever the network does."""

from __future__ import annotations

import random
from contextlib import nullcontext, suppress

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, check_in_order, message, sender_of
from tests.simulation.service import PORT, Service, ignore, serving
from trio_tcp import CloseReason
from trio_tcp._drain import ABORT_SECONDS
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

HOSTS = ("a", "b", "c")
ROUNDING = 1e-9
PATIENT = trio_tcp.Timeouts(linger=20)
SLICES = (faults.Slice.draw, faults.ShortWrites.draw, faults.Latency.draw)


class Answers:
    """A handler that takes its time, and keeps whom it has answered what."""

    def __init__(self) -> None:
        self.begun = 0
        self.sent: dict[str, list[bytes]] = {}

    async def __call__(self, connection: Bytes) -> None:
        async for first in connection:
            self.begun += 1
            sent = self.sent.setdefault(sender_of(first), [])
            with connection.busy():
                # A dialogue of two messages, between which the server seems idle.
                second = await connection.receive()
                await trio.sleep(random.random())
                for each in first, second:
                    await connection.send(each)
                    sent.append(each)


class Caller:
    """A client that asks until the server ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[bytes] = []
        self.error: Exception | None = None
        self.done = trio.Event()

    async def run(self) -> None:
        try:
            async with trio_tcp.connect_tcp(
                "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
            ) as connection:
                await self._talk(connection)
        except (trio_tcp.ConnectError, trio_tcp.ConnectionFault) as error:
            self.error = error
        finally:
            self.done.set()
        check_in_order(self.received)

    async def _talk(self, connection: Bytes) -> None:
        number = 0
        while True:
            for _ in range(2):
                await connection.send(message(self.name, number))
                number += 1
                await trio.sleep(random.random())
            while len(self.received) < number:
                self.received.append(await connection.receive())


async def drain_some_time(service: Service, grace: float) -> trio_tcp.DrainReport:
    """Drain at a moment that the seed decides, and check what is always true."""
    await trio.sleep(random.random() * 3)
    ended_before = len(service.ended)
    began = trio.current_time()
    report = await service.server.drain(grace)
    seconds = trio.current_time() - began
    assert report.seconds == seconds <= grace + ABORT_SECONDS + ROUNDING
    counted = report.finished + report.cancelled + report.aborted
    assert counted == len(service.opened) - ended_before
    if seconds < grace:
        assert report.finished == counted
    await trio.testing.wait_all_tasks_blocked()
    assert service.handlers == 0
    assert await service.server.drain() == report
    return report


@simulated(seeds=200)
async def test_what_was_asked_is_answered_and_arrives(net: VirtualNetwork) -> None:
    """Whatever delays it; and then each client sees the end, not a fault."""
    net.set_links(latency=0.005, jitter=0.02, loss=0.03)
    answers = Answers()
    callers = [Caller(name) for name in HOSTS]
    chaos = faults.Chaos(
        faults=(*SLICES, faults.Stall.draw, faults.Hold.draw, faults.Partition.draw),
        seconds=8,
        longest=2,
        pause=1.5,
        quiet=0,
    )
    async with serving(net, answers, timeouts=PATIENT) as service:
        for caller in callers:
            net.host(caller.name).start(caller.run)
        async with chaos.running(net):
            report = await drain_some_time(service, grace=60)
        assert report.seconds < 60
        assert sum(map(len, answers.sent.values())) == 2 * answers.begun
        for caller in callers:
            await caller.done.wait()
            assert caller.received == answers.sent.get(caller.name, [])
            if caller.received:
                assert isinstance(caller.error, trio_tcp.PeerClosed)


@simulated(seeds=200)
async def test_it_ends_in_time_with_the_dead_and_the_deaf(net: VirtualNetwork) -> None:
    """What is cut off by the network is reported to its client, never taken for all."""
    net.set_links(latency=0.005, jitter=0.02, loss=0.03)
    answers = Answers()
    callers = [Caller(name) for name in HOSTS]
    chaos = faults.Chaos(
        faults=(*faults.DELAYING, faults.Reset.draw, faults.Cut.draw),
        seconds=10,
        longest=10,
        pause=1,
        quiet=0,
    )
    async with serving(net, answers, timeouts=PATIENT) as service:
        for caller in callers:
            net.host(caller.name).start(caller.run)
        async with chaos.running(net):
            with trio.move_on_after(random.random() * 4):
                await trio.sleep(random.random() * 4)
                net.host(random.choice(HOSTS)).crash()
                await trio.sleep_forever()
            await drain_some_time(service, grace=2)
        for caller in callers:
            sent = answers.sent.get(caller.name, [])
            assert caller.received == sent[: len(caller.received)]
            if isinstance(caller.error, trio_tcp.PeerClosed):
                assert caller.received == sent
        reasons = {service.reason(c) for c in service.connections.values()}
        assert reasons <= {
            CloseReason.DRAINED,
            CloseReason.PEER_CLOSED,
            CloseReason.BROKEN,
            CloseReason.TRUNCATED,
        }


@simulated(seeds=200)
async def test_what_was_sent_before_the_grace_was_over_arrives(
    net: VirtualNetwork,
) -> None:
    """Also out of a handler that would never end: a feed."""
    net.set_links(latency=0.005, jitter=0.02, loss=0.02)
    sent: list[bytes] = []

    async def feed(connection: Bytes) -> None:
        # Some close what they were given.
        async with connection if random.random() < 0.5 else nullcontext():
            while True:
                each = message("feed", len(sent), size=40)
                await connection.send(each)
                sent.append(each)
                await trio.sleep(random.random() / 4)

    received: list[bytes] = []

    async def listen() -> None:
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, observer=ignore
        ) as connection:
            with suppress(trio_tcp.PeerClosed):
                while True:
                    received.append(await connection.receive())

    async with serving(net, feed, timeouts=PATIENT) as service:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.host("a").run, listen)
            with net.inject(faults.Slice(1, 2000), on=net.host("a")):
                await trio.sleep(1)
                first, second = random.random(), random.random()
                with trio.move_on_after(min(first, second)):
                    # To stop waiting does not stop the drain.
                    await service.server.drain(max(first, second))
                report = await service.server.drain(30)
                assert report.cancelled == 1
                assert max(first, second) <= report.seconds
        assert received == sent
        (connection,) = service.connections.values()
        assert service.reason(connection) is CloseReason.DRAINED
