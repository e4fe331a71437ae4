from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_a_read_gives_one_byte(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Slice(1), on=net.link("a", "b")):
        await pair.near.send_all(b"abc")
        await pair.far.send_all(b"abc")
        assert [await pair.far.receive_some() for _ in range(2)] == [b"a", b"b"]
        assert await pair.near.receive_some() == b"abc"
        await pair.near.send_all(b"def")
        await net.settle()
    assert await pair.far.receive_some() == b"cdef"


@simulated(seeds=SEEDS)
async def test_sizes_are_drawn_between_two(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Slice(2, 5)):
        await pair.near.send_all(bytes(1000))
        await net.settle()
        sizes = [len(await pair.far.receive_some()) for _ in range(100)]
    assert set(sizes) == {2, 3, 4, 5}


@simulated(seeds=SEEDS)
async def test_the_end_of_the_stream_is_seen(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Slice(1)):
        await pair.near.send_all(b"ab")
        await pair.near.send_eof()
        await net.settle()
        assert [some async for some in pair.far] == [b"a", b"b"]


def test_sizes_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="largest is 2: less than 3"):
        faults.Slice(3, 2)
    with pytest.raises(ValueError, match="smallest must be a whole number"):
        faults.Slice(0)
