"""A heartbeat notices every kind of dead peer in its time, and no living one."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes, check_in_order, message
from tests.simulation.service import PORT, ignore, serving
from tests.simulation.timing import NEVER
from trio_tcp import CloseReason, heartbeat
from trio_tcp.testing import Fault, faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated

PING, PONG = b"ping", b"pong"
EVERY, WITHIN = 5.0, 2.0
SLOWEST = 0.1


def is_pong(received: bytes) -> bool:
    return received == PONG


async def answer(connection: Bytes) -> None:
    """Be a client that lives, and has something to say now and then."""
    async with trio.open_nursery() as nursery:

        async def talk() -> None:
            for number in range(1000):
                await trio.sleep(random.uniform(0, 3 * EVERY))
                await connection.send(message("client", number))

        nursery.start_soon(talk)
        async for received in connection:
            assert received == PING
            await connection.send(PONG)
        nursery.cancel_scope.cancel()


class Listener:
    """A handler with a heartbeat, which sees what came, and when the peer was dead."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.noticed_at = -1.0

    async def __call__(self, connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, connection)
            async with heartbeat(
                connection, PING, is_pong, every=EVERY, within=WITHIN
            ) as messages:
                async for received in messages:
                    self.received.append(received)
                    await trio.sleep(random.choice([0, 0, 0, EVERY]))

    async def _watch(self, connection: Bytes) -> None:
        await connection.wait_disconnected()
        self.noticed_at = trio.current_time()


async def live_on_the_network() -> None:
    with suppress(trio_tcp.ConnectionFault, OSError):
        async with trio_tcp.connect_tcp(
            "server", PORT, codec=CODEC, timeouts=NEVER, observer=ignore
        ) as connection:
            await answer(connection)


def last_arrival(net: VirtualNetwork) -> float:
    """Say when the server got the last bytes from its client."""
    return max(
        segment.arrived
        for segment in net.trace.select(receiver="server")
        if segment.payload and segment.arrived is not None
    )


@pytest.mark.parametrize(
    "fault",
    [faults.BlackHole(), faults.Partition(), faults.Pause(), faults.Crash()],
    ids=["black hole", "partition", "paused host", "crashed host"],
)
@simulated(seeds=50)
async def test_a_dead_peer_is_noticed_in_time(
    net: VirtualNetwork, fault: Fault
) -> None:
    """Also while the handler works: ``every + within`` after the last that came."""
    net.set_links(latency=0.01, jitter=SLOWEST - 0.01)
    listener = Listener()
    async with serving(net, listener, timeouts=NEVER) as service:
        net.host("client").start(live_on_the_network)
        await trio.sleep(random.uniform(10, 60))
        assert service.server.statistics().open == 1
        with net.inject(fault, on=net.host("client")):
            await service.wait_for_end()
            ((event, _),) = service.ended.values()
            assert event.reason is CloseReason.TIMED_OUT
            assert isinstance(event.error, trio_tcp.PeerTooSlowError)
            assert event.error.timeout == "heartbeat"
            noticed = listener.noticed_at - last_arrival(net)
            assert WITHIN <= noticed <= EVERY + WITHIN + 1e-6
        net.host("client").crash()
    check_in_order(listener.received)


@simulated(seeds=20)
async def test_a_peer_that_answers_lives_whatever_the_network_does_to_its_bytes(
    net: VirtualNetwork,
) -> None:
    """Late, in pieces, together: all of that is within its time here."""
    net.set_links(latency=0.01, jitter=SLOWEST - 0.01)
    listener = Listener()
    async with serving(net, listener, timeouts=NEVER) as service:
        net.host("client").start(live_on_the_network)
        with (
            net.inject(faults.Slice(random.randint(1, 9))),
            net.inject(faults.Latency(0.2, jitter=0.2)),
        ):
            await trio.sleep(150)
            assert not service.ended
            assert len(listener.received) > 10
        net.host("client").crash()
    check_in_order(listener.received)
