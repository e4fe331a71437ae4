from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly, seconds_of
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_what_is_held_arrives_in_order_at_its_end(net: VirtualNetwork) -> None:
    pair = await connect(net)
    hold = net.inject(faults.Hold(), on=net.link("a", "b"))
    before = len(net.trace)
    for byte in (b"a", b"b", b"c"):
        await pair.near.send_all(byte)
    await trio.sleep(1000)
    assert [s.fate for s in net.trace.segments[before:]] == ["held back"] * 3
    hold.end()
    assert await seconds_of(pair.far.receive_some()) == 0.001
    await pair.near.send_all(b"d")
    assert await receive_exactly(pair.far, 1) == b"d"


@pytest.mark.parametrize("first_ends_first", [True, False])
@simulated(seeds=SEEDS)
async def test_two_holds_keep_the_order(
    net: VirtualNetwork, first_ends_first: bool
) -> None:
    pair = await connect(net)
    first = net.inject(faults.Hold(), on=net.link("a", "b"))
    await pair.near.send_all(b"a")
    second = net.inject(faults.Hold(), on=net.host("b"))
    await pair.near.send_all(b"b")
    one, other = (first, second) if first_ends_first else (second, first)
    one.end()
    await pair.near.send_all(b"c")
    with trio.move_on_after(1):
        pytest.fail(f"{await pair.far.receive_some()!r} was read")
    other.end()
    assert await receive_exactly(pair.far, 3) == b"abc"
    await pair.check()


@simulated(seeds=SEEDS)
async def test_what_is_let_go_into_a_partition_is_lost(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Hold()) as hold:
        await pair.near.send_all(b"a")
        with net.inject(faults.Partition(), on=net.path("a", "b")):
            hold.end()
            with trio.move_on_after(1):
                pytest.fail(f"{await pair.far.receive_some()!r} was read")
    assert await receive_exactly(pair.far, 1) == b"a"
