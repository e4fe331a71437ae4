"""Each timeout of receiving ends who is too slow at its moment, and nobody else."""

from __future__ import annotations

import math
import random

import attrs
import trio

from tests.simulation.numbered import CODEC, Bytes
from tests.simulation.service import serving
from tests.simulation.timing import (
    NEVER,
    SLOWEST,
    arrivals,
    exactly,
    read,
    stream_to_server,
    timed_out,
)
from trio_tcp import CloseReason
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=200)
async def test_who_begins_no_message_is_waited_for_as_long_as_said(
    net: VirtualNetwork,
) -> None:
    seconds = random.uniform(0.5, 3)
    async with serving(
        net, read, timeouts=attrs.evolve(NEVER, first_message=seconds)
    ) as service:
        async with stream_to_server(net):
            what, began, ended = await timed_out(service)
        assert (what, ended - began) == ("first_message", exactly(seconds))


@simulated(seeds=200)
async def test_who_begins_a_message_in_time_is_not_late(net: VirtualNetwork) -> None:
    """One byte is a beginning; the rest may take longer."""
    seconds = random.uniform(0.5, 3)
    async with serving(
        net, read, timeouts=attrs.evolve(NEVER, first_message=seconds)
    ) as service:
        async with stream_to_server(net) as stream:
            await trio.sleep(random.uniform(0, seconds - 2 * SLOWEST))
            for byte in CODEC.encode(b"slow"):
                await stream.send_all(bytes([byte]))
                await trio.sleep(seconds)
        await service.wait_for_end()
    (connection,) = service.connections.values()
    assert service.reason(connection) is CloseReason.PEER_CLOSED
    assert connection.statistics().messages_received == 1


@simulated(seeds=200)
async def test_who_is_idle_is_so_from_the_last_byte_in_either_direction(
    net: VirtualNetwork,
) -> None:
    seconds = random.uniform(1, 3)

    async def read_and_write(connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_something, connection)
            await read(connection)

    async def say_something(connection: Bytes) -> None:
        for _ in range(4):
            await trio.sleep(random.random() * seconds)
            await connection.send(b"x")

    async with serving(
        net, read_and_write, timeouts=attrs.evolve(NEVER, idle=seconds)
    ) as service:
        with net.inject(faults.Slice(1)), net.inject(faults.ShortWrites(2)):
            async with stream_to_server(net) as stream:
                for _ in range(4):
                    await stream.send_all(CODEC.encode(b"y"))
                    await trio.sleep(random.random() * (seconds - 2 * SLOWEST))
                what, _, ended = await timed_out(service)
        written = [s.time for s in net.trace.select(sender="server") if s.payload]
        last = max(written[-1], arrivals(net)[-1][0])
        assert (what, ended) == ("idle", exactly(last + seconds))


@simulated(seeds=200)
async def test_a_message_has_its_grace_and_what_its_bytes_have_earned(
    net: VirtualNetwork,
) -> None:
    """Computed from what arrived when; who keeps to the rate is never too slow."""
    grace, rate = random.uniform(SLOWEST * 2, 2), random.uniform(10, 200)
    factor = random.choice((random.uniform(0.1, 0.9), random.uniform(1, 2)))
    data = CODEC.encode(b"z" * random.randrange(20, 500))
    timeouts = attrs.evolve(NEVER, message=grace, message_rate=rate)

    async def drip(stream: trio.SocketStream) -> None:
        sent, began = 0, trio.current_time()
        while sent < len(data):
            size = random.randint(1, 40)
            # Bytes are sent before they are due, so that the rate is kept at any time.
            await trio.sleep_until(began + sent / (rate * factor))
            await stream.send_all(data[sent : sent + size])
            sent += size

    async with serving(net, read, timeouts=timeouts) as service:
        with net.inject(faults.Slice(1, 7), on=net.host("server")):
            async with stream_to_server(net) as stream:
                await drip(stream)
                await trio.sleep(SLOWEST)
                (connection,) = service.connections.values()
                deadline = _deadline(arrivals(net), len(data), grace, rate)
                if deadline < math.inf:
                    what, _, ended = await timed_out(service)
                    assert (what, ended) == ("message", exactly(deadline))
                    assert factor < 1
                else:
                    assert connection.statistics().messages_received == 1
                    assert connection.close_reason is None


def _deadline(
    arrived: list[tuple[float, int]], total: int, grace: float, rate: float
) -> float:
    """Say when a message of so many bytes is too late; inf if it is not."""
    held, deadline = 0, math.inf
    for at, size in arrived:
        if at > deadline:
            break
        held += size
        deadline = arrived[0][0] + grace + held / rate
        if held >= total:
            return math.inf
    return deadline
