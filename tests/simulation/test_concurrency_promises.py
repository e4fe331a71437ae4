"""`respond` with several requests at once: no reply goes astray on a bad network."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from typing import Literal

import pytest
import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, message
from tests.simulation.service import PORT, ignore, serving
from tests.simulation.timing import NEVER
from trio_tcp import Concurrency, respond
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

HOSTS = ("a", "b", "c")
REQUESTS = 30
BUSY = b"busy:"


class Work:
    """A function that takes its time, and keeps what it has begun and not ended."""

    def __init__(self) -> None:
        self.begun: Counter[bytes] = Counter()
        self.running = 0

    async def __call__(self, request: bytes) -> bytes:
        self.begun[request] += 1
        self.running += 1
        try:
            await trio.sleep(random.choice([0, 0, 0.1, 1]))
        finally:
            self.running -= 1
        return request


def busy(request: bytes) -> bytes:
    return BUSY + request


class Caller:
    """A client that sends requests ahead, and keeps what comes back."""

    def __init__(self, name: str) -> None:
        self.sent = [message(name, number) for number in range(REQUESTS)]
        self.received: list[bytes] = []
        self.is_whole = False

    async def run(self) -> None:
        with suppress(OSError):
            async with (
                trio_tcp.connect_tcp(
                    "server", PORT, codec=CODEC, timeouts=NEVER, observer=ignore
                ) as connection,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(self._send, connection)
                with suppress(trio_tcp.ConnectionFault):
                    async for reply in connection:
                        self.received.append(reply.removeprefix(BUSY))
                    self.is_whole = True

    async def _send(self, connection: Bytes) -> None:
        with suppress(trio_tcp.ConnectionFault):
            for request in self.sent:
                await trio.sleep(random.choice([0, 0, 0.05]))
                await connection.send(request)
            await connection.send_eof()


@pytest.mark.parametrize("replies", ["in_order", "as_ready"])
@simulated(seeds=15)
async def test_every_request_gets_its_own_reply_and_only_once(
    net: VirtualNetwork, replies: Literal["in_order", "as_ready"]
) -> None:
    """Whole, or a part of them if the connection was reset; and nothing runs on."""
    work = Work()
    policy = Concurrency(
        limit=random.randint(1, 4), queue=random.randint(0, 4), replies=replies
    )
    handler = respond(
        work, concurrency=policy, shed=busy if random.random() < 0.5 else None
    )
    net.set_links(latency=0.01, jitter=0.05)
    callers = [Caller(name) for name in HOSTS]
    async with serving(net, handler, timeouts=NEVER) as service:
        with net.inject(faults.Slice(random.randint(1, 50))):
            async with trio.open_nursery() as nursery:
                for name, caller in zip(HOSTS, callers, strict=True):
                    nursery.start_soon(net.host(name).run, caller.run)
                await trio.sleep(random.uniform(0, 3))
                net.inject(faults.Reset(), on=net.host(HOSTS[0]))
        await service.wait_for_end()
        assert work.running == 0
    for caller in callers:
        counts = Counter(caller.received)
        assert set(counts.values()) <= {1}
        assert set(counts) <= set(caller.sent)
        if replies == "in_order":
            assert caller.received == caller.sent[: len(caller.received)]
        if caller.is_whole:
            assert len(caller.received) == REQUESTS
    assert sum(caller.is_whole for caller in callers) >= len(HOSTS) - 1
    assert set(work.begun.values()) <= {1}
