from __future__ import annotations

import math

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly, seconds_of
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_it_adds_to_the_latency_of_the_link(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(0.2), on=net.link("a", "b")):
        await pair.near.send_all(b"there")
        await pair.far.send_all(b"back")
        assert await seconds_of(pair.near.receive_some()) == 0.001
        assert await seconds_of(pair.far.receive_some()) == 0.2
        await trio.sleep(1)
    await pair.near.send_all(b"there")
    assert await seconds_of(pair.far.receive_some()) == 0.001


@simulated(seeds=SEEDS)
async def test_jitter_keeps_the_order(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(0.1, jitter=0.5)):
        sent = bytes(range(100))
        for byte in sent:
            await pair.near.send_all(bytes([byte]))
        assert await receive_exactly(pair.far, 100) == sent
    ways = [s.arrived - s.time for s in net.trace if s.payload and s.arrived]
    assert len(ways) == 100
    assert 0.101 <= min(ways) < max(ways) <= 0.601


@simulated(seeds=SEEDS)
async def test_what_travels_when_it_ends_stays_ahead(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(1)):
        await pair.near.send_all(b"first")
    await pair.near.send_all(b"second")
    assert await seconds_of(pair.far.receive_some(1)) == 1.001
    assert await pair.far.receive_some() == b"irstsecond"


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_it_must_be_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be a number of seconds"):
        faults.Latency(seconds)
    with pytest.raises(ValueError, match="jitter must be a number of seconds"):
        faults.Latency(0, jitter=seconds)
