from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_no_read_goes_past_a_place(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.SliceAt([7, 3])):
        await pair.near.send_all(b"0123456789")
        await net.settle()
        reads = [await pair.far.receive_some() for _ in range(3)]
    assert reads == [b"012", b"3456", b"789"]


@simulated(seeds=SEEDS)
async def test_places_count_from_the_first_byte(
    net: VirtualNetwork,
) -> None:
    pair = await connect(net)
    await pair.near.send_all(b"0123456789")
    await net.settle()
    assert await pair.far.receive_some(5) == b"01234"
    with net.inject(faults.SliceAt([3, 7])):
        assert await pair.far.receive_some() == b"56"
        assert await pair.far.receive_some() == b"789"


def test_places_must_be_inside_the_stream() -> None:
    with pytest.raises(ValueError, match="offsets must be above zero, not 0"):
        faults.SliceAt([3, 0])
