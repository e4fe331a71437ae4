from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_a_paused_host_is_silent_and_loses_nothing(net: VirtualNetwork) -> None:
    net.host("c")
    pair = await connect(net)
    other = await connect(net, "a", "c")
    with net.inject(faults.Pause(), on=net.host("b")):
        await pair.near.send_all(b"there")
        await pair.far.send_all(b"back")
        with trio.move_on_after(600):
            pytest.fail(f"{await pair.near.receive_some()!r} was read")
        await other.check()
    assert await receive_exactly(pair.far, 5) == b"there"
    assert await receive_exactly(pair.near, 4) == b"back"


@simulated(seeds=SEEDS)
async def test_only_a_host_can_pause(net: VirtualNetwork) -> None:
    net.host("a")
    net.host("b")
    with pytest.raises(TypeError, match=r"Pause\(\) is for a host, not for a <-> b"):
        net.inject(faults.Pause(), on=net.path("a", "b"))
    assert net.trace.faults == []
