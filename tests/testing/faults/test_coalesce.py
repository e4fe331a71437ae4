from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_several_writes_come_in_one_read(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await trio.sleep_until(1)
    with net.inject(faults.Coalesce(0.5), on=net.link("a", "b")):
        for byte in (b"a", b"b", b"c"):
            await pair.near.send_all(byte)
            await trio.sleep(0.1)
        assert await pair.far.receive_some() == b"abc"
        assert net.now() == 1.5


@simulated(seeds=SEEDS)
async def test_the_larger_of_two_holds(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Coalesce(2)), net.inject(faults.Coalesce(0.5)):
        await pair.near.send_all(b"a")
        await pair.far.receive_some()
        assert net.now() == 2
    await pair.check()


def test_it_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match=r"seconds must be a number .*above zero"):
        faults.Coalesce(0)
