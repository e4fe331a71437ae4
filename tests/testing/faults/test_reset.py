from __future__ import annotations

import contextlib

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


def arrivals(net: VirtualNetwork, sender: str) -> list[float]:
    return [s.arrived for s in net.trace.select(sender=sender) if s.arrived is not None]


@simulated(seeds=SEEDS)
async def test_an_end_that_is_gone_keeps_the_order_of_what_it_sent(
    net: VirtualNetwork,
) -> None:
    """Its host answers what still comes with resets: they overtake nothing."""
    pair = await connect(net)
    net.set_links(latency=0.05, jitter=0.04)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_bit_by_bit, pair.far)
        await trio.sleep(0.06)
        await pair.near.aclose()
    await net.settle()
    assert net.trace.count(sender="a", flags=Flag.RST) > 5
    assert arrivals(net, "a") == sorted(arrivals(net, "a"))


async def send_bit_by_bit(stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        for _ in range(20):
            await stream.send_all(b"x")
            await trio.sleep(0.005)


@simulated(seeds=SEEDS)
async def test_a_reset_after_a_crash_stays_behind_what_was_sent_before(
    net: VirtualNetwork,
) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(1), on=net.link("b", "a")):
        await pair.far.send_all(b"the last words")
    net.host("b").crash()
    net.host("b").restart()
    await pair.near.send_all(b"x")
    await net.settle()
    assert net.trace.count(sender="b", flags=Flag.RST) == 2
    assert arrivals(net, "b") == sorted(arrivals(net, "b"))
