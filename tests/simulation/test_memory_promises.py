"""What all connections hold together is bounded, and nobody is stuck because of it."""

from __future__ import annotations

import random

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, message
from tests.simulation.service import PORT, ignore, serving
from trio_tcp import CloseReason
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

PATIENT = trio_tcp.Timeouts(linger=30)
NAMES = ("a", "b", "c")
LIMIT = 75_000
SIZE = 800
COUNT = 3


async def repeat(connection: Bytes) -> None:
    """Echo, and lose patience while there is no room, and try again."""
    async for each in connection:
        is_sent = False
        while not is_sent:
            with trio.move_on_after(random.randrange(64) / 64) as scope:
                await connection.send(each)
            is_sent = not scope.cancelled_caught


class Asker:
    """A client that sends without waiting, and reads slowly."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.evicted = False

    async def run(self) -> None:
        try:
            async with trio_tcp.connect_tcp(
                "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
            ) as connection:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, connection)
                    await self._receive(connection)
        except* trio_tcp.ConnectionBroken:
            self.evicted = True

    async def _send(self, connection: Bytes) -> None:
        for number in range(COUNT):
            await connection.send(message(self.name, number, size=SIZE))

    async def _receive(self, connection: Bytes) -> None:
        for number in range(COUNT):
            await trio.sleep(random.randrange(32) / 64)
            expected = message(self.name, number, size=SIZE)
            assert await connection.receive() == expected


@simulated(seeds=200)
async def test_the_budget_holds_and_whoever_is_not_evicted_is_served(
    net: VirtualNetwork,
) -> None:
    net.set_links(latency=1 / 64, mss=8000)
    for name in ("server", *NAMES):
        net.host(name).send_buffer = net.host(name).receive_buffer = 16_000
    askers = [Asker(name) for name in NAMES]
    kinds = (faults.Stall.draw, faults.Hold.draw, faults.Latency.draw)
    chaos = faults.Chaos(
        faults=kinds, seconds=3, longest=2, pause=1, swizzles=0, quiet=0
    )
    limits = trio_tcp.Limits(max_buffered_bytes=LIMIT)
    async with serving(net, repeat, limits=limits, timeouts=PATIENT) as service:
        async with chaos.running(net), trio.open_nursery() as nursery:
            for asker in askers:
                nursery.start_soon(net.host(asker.name).run, asker.run)
            while trio.current_time() < chaos.seconds:
                await trio.sleep(random.random() / 2)
                assert service.server.statistics().bytes_buffered <= LIMIT
        await service.wait_for_end()
        reasons = [service.reason(each) for each in service.connections.values()]
        evicted = [asker for asker in askers if asker.evicted]
        assert reasons.count(CloseReason.EVICTED) == len(evicted)
        assert reasons.count(CloseReason.PEER_CLOSED) == len(NAMES) - len(evicted)
