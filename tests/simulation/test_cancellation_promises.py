"""What is cancelled has not happened, and what has happened stays so."""

from __future__ import annotations

import random
from contextlib import suppress

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, message
from tests.simulation.service import PORT, ignore, serving
from trio_tcp import CloseReason
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

PATIENT = trio_tcp.Timeouts(message=300, linger=300)
BREAKING = (faults.Reset.draw, faults.Cut.draw)
DELAYING: tuple[faults.Draw, ...] = (
    faults.Latency.draw,
    faults.Loss.draw,
    faults.Stall.draw,
    faults.Hold.draw,
    faults.Partition.draw,
    lambda draw: faults.Slice(1, draw.randint(1000, 5000)),
    lambda draw: faults.ShortWrites(1024 * draw.randint(1, 4)),
)
"""What also large messages get through in a few steps."""


TICK = 1 / 64
"""Exact as a float, so that bytes arrive at the very moment of a cancellation."""


def ticks(most: int) -> float:
    """Draw a number of seconds: up to so many ticks."""
    return random.randrange(most) * TICK


def make_it_narrow(net: VirtualNetwork) -> None:
    """Let little be underway, so that senders have to wait in line."""
    net.set_links(latency=TICK, mss=4096)
    for name in ("server", "test"):
        net.host(name).send_buffer = net.host(name).receive_buffer = 8192


class Collector:
    """A handler that receives slowly, and keeps what came."""

    def __init__(self, pause: int) -> None:
        self.received: list[bytes] = []
        self.saw_the_end = False
        self._pause = pause

    async def __call__(self, connection: Bytes) -> None:
        async for each in connection:
            self.received.append(each)
            await trio.sleep(ticks(self._pause))
        self.saw_the_end = True


class Senders:
    """Tasks that send over one connection, and lose their patience now and then.

    Attributes:
        calls: What was sent, in the order of the calls, without the cancelled ones.
    """

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.cancelled = 0

    async def run(self, connection: Bytes, name: str) -> None:
        for number in range(6):
            group = [
                message(name, 10 * number + i, size=200)
                for i in range(random.choice((1, 1, 3)))
            ]
            self.calls += group
            with trio.move_on_after(ticks(32)) as scope:
                if len(group) == 1:
                    await connection.send(group[0])
                else:
                    await connection.send_many(group)
            if scope.cancelled_caught:
                self.cancelled += 1
                self.calls = [each for each in self.calls if each not in group]
            with trio.move_on_after(ticks(16)):
                await connection.flush()


@simulated(seeds=200)
async def test_a_cancelled_send_sent_nothing_and_the_others_keep_their_order(
    net: VirtualNetwork,
) -> None:
    make_it_narrow(net)
    collector, senders = Collector(12), Senders()
    chaos = faults.Chaos(
        faults=DELAYING, seconds=3, longest=1, pause=1, swizzles=0, quiet=0
    )
    async with serving(net, collector, timeouts=PATIENT) as service:
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
        ) as connection:
            async with chaos.running(net), trio.open_nursery() as nursery:
                for name in ("a", "b", "c"):
                    nursery.start_soon(senders.run, connection, name)
        await service.wait_for_end()
        assert collector.received == senders.calls
        assert collector.saw_the_end


@simulated(seeds=200)
async def test_a_cancelled_receive_lost_nothing(net: VirtualNetwork) -> None:
    """Neither do other ways to stop waiting, or to look without waiting."""
    net.set_links(latency=TICK)
    count = 20

    async def feed(connection: Bytes) -> None:
        for number in range(count):
            await connection.send(message("feed", number))
            await trio.sleep(ticks(8))

    received: list[bytes] = []

    async def take(connection: Bytes) -> None:
        with trio.move_on_after(ticks(12)):
            match random.randrange(5):
                case 0:
                    await connection.wait_disconnected()
                case 1:
                    try:
                        received.append(connection.receive_nowait())
                    except trio.WouldBlock:
                        await trio.lowlevel.checkpoint()
                case _:
                    received.append(await connection.receive())

    chaos = faults.Chaos(
        faults=faults.DELAYING, seconds=2, longest=1, pause=0.5, swizzles=0, quiet=0
    )
    async with serving(net, feed, timeouts=PATIENT):
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
        ) as connection:
            async with chaos.running(net):
                while len(received) < count:
                    await take(connection)
    assert received == [message("feed", i) for i in range(count)]


def block(number: int) -> bytes:
    """Make a message whose frame is what fits into buffers without a remainder.

    So that where the bytes are cut off, a frame often ends.
    """
    return message("client", number).ljust(1020, b".")


async def end(connection: Bytes) -> None:
    """Leave in one of the ways there are."""
    match random.randrange(4):
        case 0:
            await trio.sleep_forever()  # until it is cancelled
        case 1:
            connection.abort()
        case 2:
            raise EOFError
        case _:
            await connection.aclose()  # which may be cancelled


@simulated(seeds=200)
async def test_a_cut_off_sender_is_never_taken_for_one_that_has_finished(
    net: VirtualNetwork,
) -> None:
    """Its peer sees the clean end only if it has received all that was accepted."""
    make_it_narrow(net)
    collector = Collector(4)
    accepted: list[bytes] = []

    async def send(connection: Bytes) -> None:
        for number in range(random.randrange(60)):
            each = block(number)
            await connection.send(each)
            accepted.append(each)
            await trio.sleep(ticks(4))

    async def run() -> None:
        with suppress(EOFError, trio_tcp.ConnectionBroken, trio_tcp.ConnectError):
            with trio.move_on_after(random.random()):
                async with trio_tcp.connect_tcp(
                    "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
                ) as connection:
                    await send(connection)
                    await end(connection)

    kinds = (*DELAYING, *BREAKING)
    chaos = faults.Chaos(
        faults=kinds, seconds=3, longest=1, pause=0.7, swizzles=0, quiet=0
    )
    idle = trio_tcp.Timeouts(idle=10, first_message=10, message=10)
    async with serving(net, collector, timeouts=idle) as service:
        async with chaos.running(net):
            await run()
        await trio.sleep(60)
        service.check()
        assert len(service.ended) == len(service.opened)
        assert collector.received == accepted[: len(collector.received)]
        for connection in service.connections.values():
            if service.reason(connection) is CloseReason.PEER_CLOSED:
                assert collector.received == accepted
