from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag


@simulated(seeds=SEEDS)
async def test_both_ends_are_reset(net: VirtualNetwork) -> None:
    pair = await connect(net)
    net.inject(faults.Reset())
    for stream in (pair.near, pair.far):
        with pytest.raises(ConnectionResetError):
            await stream.socket.recv(1)
        assert await stream.socket.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            await stream.socket.send(b"x")
    assert net.trace.count(sender="a", flags=Flag.RST) == 1
    assert net.trace.count(sender="b", flags=Flag.RST) == 1


@simulated(seeds=SEEDS)
async def test_what_was_sent_before_arrives_before(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await pair.near.send_all(b"last words")
    net.inject(faults.Reset(), on=net.host("b"))
    assert await pair.far.receive_some() == b"last words"
    with pytest.raises(trio.BrokenResourceError):
        await pair.far.receive_some()


@simulated(seeds=SEEDS)
async def test_others_go_on(net: VirtualNetwork) -> None:
    net.host("c")
    pair = await connect(net)
    other = await connect(net, a="c", port=81)
    net.inject(faults.Reset(), on=net.port("b", 80))
    await other.check()
    later = await connect(net)
    await later.check()
    with pytest.raises(trio.BrokenResourceError):
        await pair.near.receive_some()
