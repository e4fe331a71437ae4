from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_a_write_takes_few_bytes(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.ShortWrites(3), on=net.link("a", "b")):
        assert await pair.near.socket.send(b"0123456789") == 3
        assert await pair.far.socket.send(b"0123456789") == 10
    assert await pair.near.socket.send(b"3456789") == 7
    assert await receive_exactly(pair.far, 10) == b"0123456789"


@simulated(seeds=SEEDS)
async def test_streams_send_all_of_it(net: VirtualNetwork) -> None:
    pair = await connect(net)
    message = bytes(range(256))
    with net.inject(faults.ShortWrites(7)):
        await pair.near.send_all(message)
        assert await receive_exactly(pair.far, len(message)) == message
    assert max(len(segment.payload) for segment in net.trace) == 7


def test_it_must_take_something() -> None:
    with pytest.raises(ValueError, match="size must be a whole number"):
        faults.ShortWrites(0)
