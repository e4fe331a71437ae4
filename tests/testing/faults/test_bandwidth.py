from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly, seconds_of
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_bytes_go_as_fast_as_it_says(net: VirtualNetwork) -> None:
    """Ten full segments of 1500 bytes with headers, one after the other."""
    pair = await connect(net)
    with net.inject(faults.Bandwidth(1500), on=net.link("a", "b")):
        await pair.near.send_all(bytes(14_600))
        assert await seconds_of(receive_exactly(pair.far, 14_600)) == 10.001
    await pair.near.send_all(bytes(14_600))
    assert await seconds_of(receive_exactly(pair.far, 14_600)) == 0.001


@simulated(seeds=SEEDS)
async def test_each_direction_has_its_own(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Bandwidth(1500), on=net.path("a", "b")):
        await pair.near.send_all(bytes(1460))
        await pair.far.send_all(bytes(1460))
        assert await seconds_of(receive_exactly(pair.far, 1460)) == 1.001
        assert await seconds_of(receive_exactly(pair.near, 1460)) == 0


@simulated(seeds=SEEDS)
async def test_connections_share_that_of_a_link(net: VirtualNetwork) -> None:
    one = await connect(net)
    other = await connect(net, port=81)
    with net.inject(faults.Bandwidth(1500), on=net.link("a", "b")):
        await one.near.send_all(bytes(1460))
        await other.near.send_all(bytes(1460))
        assert await seconds_of(receive_exactly(one.far, 1460)) == 1.001
        assert await seconds_of(receive_exactly(other.far, 1460)) == 1


def test_it_must_be_above_zero() -> None:
    with pytest.raises(
        ValueError, match=r"bytes_per_second must be a number .*above zero"
    ):
        faults.Bandwidth(0)
