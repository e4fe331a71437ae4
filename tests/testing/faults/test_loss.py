from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_a_lost_segment_comes_after_a_retransmission(net: VirtualNetwork) -> None:
    pair = await connect(net)
    before = len(net.trace)
    with net.inject(faults.Loss(0.5), on=net.link("a", "b")):
        for _ in range(50):
            await pair.near.send_all(b"x")
            assert await pair.far.receive_some() == b"x"
    ways = [
        round(s.arrived - s.time, 6)
        for s in net.trace.segments[before:]
        if s.payload and s.arrived
    ]
    assert set(ways) > {0.001, 0.201, 0.601}
    assert set(ways) <= {0.001, *(round(0.2 * (2**n - 1) + 0.001, 6) for n in range(9))}


@simulated(seeds=SEEDS)
async def test_no_byte_is_lost_for_the_programs(net: VirtualNetwork) -> None:
    pair = await connect(net)
    message = bytes(range(256)) * 200
    with net.inject(faults.Loss(0.3)):
        await pair.near.send_all(message)
        assert await receive_exactly(pair.far, len(message)) == message
    await pair.check()


@pytest.mark.parametrize("share", [-0.1, 1])
def test_it_must_be_a_share(share: float) -> None:
    with pytest.raises(ValueError, match=r"share must be a number, .* below one"):
        faults.Loss(share)
