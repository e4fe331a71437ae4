"""Work for a client that is gone is broken off when that is known."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, check_in_order, message
from tests.simulation.service import PORT, ignore, serving
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag


class Worker:
    """A handler that works on each message, but only for those who are there."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.gone_at: float | None = None

    async def __call__(self, connection: Bytes) -> None:
        while True:
            self.received.append(await connection.receive())
            async with connection.cancel_on_disconnect() as scope:
                await trio.sleep(random.random())
            if scope.cancelled_caught:
                self.gone_at = trio.current_time()
                break
            with suppress(trio_tcp.ConnectionBroken):
                await connection.send(self.received[-1])
        # What had come before it went is still to be had.
        with suppress(trio_tcp.PeerClosed):
            while True:
                self.received.append(await connection.receive())


@simulated(seeds=200)
async def test_work_ends_when_the_end_arrives_and_what_came_before_is_kept(
    net: VirtualNetwork,
) -> None:
    net.set_links(latency=0.01, jitter=0.02)
    worker = Worker()
    sent = 0
    is_closed = random.random() < 0.5
    async with serving(net, worker) as service:
        with net.inject(faults.Slice(1, 50)), net.inject(faults.ShortWrites(20)):
            with suppress(trio_tcp.ConnectionBroken):
                async with trio_tcp.connect_tcp(
                    "server", PORT, codec=CODEC, observer=ignore
                ) as connection:
                    for number in range(random.randint(1, 6)):
                        await connection.send(message("client", number))
                        sent += 1
                        await trio.sleep(random.choice((0, random.random() / 2)))
                    if not is_closed:
                        faults.Reset().begin(net, net.host("server"))
            await service.wait_for_end()
        check_in_order(worker.received)
        assert len(worker.received) <= sent
        if is_closed:
            assert len(worker.received) == sent
        ends = [
            segment.arrived
            for segment in net.trace.select(receiver="server")
            if segment.flags & (Flag.FIN | Flag.RST)
        ]
        if worker.gone_at is not None:
            assert worker.gone_at == pytest.approx(ends[0], abs=1e-9)
