"""Each direction ends by itself, after its last message, and no byte is lost by it."""

from __future__ import annotations

import random

import pytest
import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, check_in_order, message
from tests.simulation.service import PORT, ignore, serving
from trio_tcp import CloseReason
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

PATIENT = trio_tcp.Timeouts(message=300, linger=300)
BREAKING = (faults.Reset.draw, faults.Cut.draw)
BROKEN = (
    trio_tcp.ConnectionBroken,
    trio_tcp.TruncatedError,
    trio_tcp.PeerTooSlowError,  # the word of a reset can be lost
)


class Side:
    """One end: it sends as many as it likes, ends that, and receives to the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self.received: list[bytes] = []
        self.saw_the_end = False

    async def talk(self, connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, connection)
            await self._receive(connection)

    async def _send(self, connection: Bytes) -> None:
        try:
            for number in range(random.randrange(12)):
                await connection.send(message(self.name, number))
                self.sent += 1
                await trio.sleep(random.choice((0, random.random())))
            with trio.move_on_after(random.random()):
                # If that is over before it is sent, it is sent all the same.
                await connection.send_eof()
        except trio_tcp.ConnectionBroken:
            return
        with pytest.raises((trio_tcp.ConnectionClosedError, trio_tcp.ConnectionBroken)):
            await connection.send(b"nobody will get this")

    async def _receive(self, connection: Bytes) -> None:
        try:
            while True:
                self.received.append(await connection.receive())
                await trio.sleep(random.choice((0, random.random() / 4)))
        except trio_tcp.PeerClosed:
            self.saw_the_end = True
        except BROKEN:
            pass

    def check(self, other: Side, *, is_whole: bool) -> None:
        """Check that what arrived here is what the other has sent."""
        check_in_order(self.received)
        assert len(self.received) <= other.sent
        assert not self.received or self.received[0] == message(other.name, 0)
        if is_whole or self.saw_the_end:
            assert self.saw_the_end
            assert len(self.received) == other.sent


@simulated(seeds=200)
async def test_who_sees_the_end_has_received_everything_before_it(
    net: VirtualNetwork,
) -> None:
    net.set_links(latency=0.005, jitter=0.02, loss=0.03)
    breaks = random.random() < 0.5
    kinds = (*faults.DELAYING, *BREAKING) if breaks else faults.DELAYING
    here, there = Side("client"), Side("server")
    async with serving(net, there.talk, timeouts=PATIENT) as service:
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
        ) as connection:
            chaos = faults.Chaos(
                faults=kinds, seconds=6, longest=3, pause=0.7, swizzles=0, quiet=0
            )
            async with chaos.running(net):
                await here.talk(connection)
        await service.wait_for_end()
        here.check(there, is_whole=not breaks)
        there.check(here, is_whole=not breaks)
        (at_server,) = service.connections.values()
        if not breaks:  # otherwise, what the server sends may break it later
            assert service.reason(at_server) is CloseReason.PEER_CLOSED


@simulated(seeds=200)
async def test_a_reply_may_follow_the_end_of_the_request(net: VirtualNetwork) -> None:
    """A long one, to a client that reads slowly and will never send again."""
    net.set_links(latency=0.01, jitter=0.02, loss=0.02)
    for name in ("server", "test"):
        net.host(name).send_buffer = net.host(name).receive_buffer = 8_000
    requests: list[bytes] = []

    async def collect(connection: Bytes) -> None:
        requests.extend([each async for each in connection])
        for number in range(7):
            await connection.send(message("reply", number, size=100))

    replies: list[bytes] = []
    async with serving(net, collect, timeouts=PATIENT) as service:
        slow = faults.Slice(1, 3000)
        with net.inject(slow, on=net.host("test")), net.inject(faults.ShortWrites(900)):
            async with trio_tcp.connect_tcp(
                "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
            ) as connection:
                for number in range(7):
                    await connection.send(message("request", number, size=40))
                await connection.send_eof()
                async for each in connection:
                    replies.append(each)
                    await trio.sleep(random.random())
        await service.wait_for_end()
        assert requests == [message("request", i, size=40) for i in range(7)]
        assert replies == [message("reply", i, size=100) for i in range(7)]


@simulated(seeds=200)
async def test_the_last_reply_is_whole_though_the_client_goes_on_sending(
    net: VirtualNetwork,
) -> None:
    """What nobody will read must not become a reset that overtakes it."""
    net.set_links(latency=0.01, jitter=0.02, loss=0.02)
    last = message("last", 0, size=700)

    async def reply_and_leave(connection: Bytes) -> None:
        await connection.receive()
        await connection.send(last)

    async def send_on(connection: Bytes) -> None:
        while True:
            await connection.send(message("request", 0, size=40))
            await trio.sleep(random.random() / 10)

    chaos = faults.Chaos(
        faults=faults.DELAYING, seconds=4, longest=2, pause=1, swizzles=0, quiet=0
    )
    async with serving(net, reply_and_leave, timeouts=PATIENT) as service:
        async with chaos.running(net):
            async with trio_tcp.connect_tcp(
                "server", PORT, codec=CODEC, timeouts=PATIENT, observer=ignore
            ) as connection:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(send_on, connection)
                    assert await connection.receive() == last
                    with pytest.raises(trio_tcp.PeerClosed):
                        await connection.receive()
                    nursery.cancel_scope.cancel()
        await service.wait_for_end()
        (at_server,) = service.connections.values()
        assert service.reason(at_server) is CloseReason.CLOSED
