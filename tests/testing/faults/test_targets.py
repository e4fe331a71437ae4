"""Faults are in force on what they are put on, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.testing.faults.pairs import SEEDS, Pair, connect, seconds_of
from trio_tcp.testing import faults
from trio_tcp.testing.network import Target, VirtualNetwork
from trio_tcp.testing.simulation import simulated

TARGETS: dict[str, tuple[Callable[[VirtualNetwork], Target | None], str]] = {
    "everything": (lambda _: None, "there back other"),
    "sender": (lambda net: net.host("a"), "there back"),
    "receiver": (lambda net: net.host("b"), "there back other"),
    "link": (lambda net: net.link("a", "b"), "there"),
    "path": (lambda net: net.path("b", "a"), "there back"),
    "port": (lambda net: net.port("b", 80), "there back"),
    "connection": (lambda net: net.connections("a", "b")[0], "there back"),
}


async def is_late(pair: Pair, back: bool = False) -> bool:
    one, other = (pair.far, pair.near) if back else (pair.near, pair.far)
    await one.send_all(b"x")
    seconds = await seconds_of(other.receive_some())
    assert seconds in (0.001, 1.001)
    return seconds > 1


@pytest.mark.parametrize("kind", TARGETS)
@simulated(seeds=SEEDS)
async def test_it_is_in_force_on_what_it_was_put_on(
    net: VirtualNetwork, kind: str
) -> None:
    pair = await connect(net)
    other = await connect(net, a="c", port=81)
    target, expected = TARGETS[kind]
    with net.inject(faults.Latency(1), on=target(net)) as injection:
        late = {
            "there": await is_late(pair),
            "back": await is_late(pair, back=True),
            "other": await is_late(other),
        }
    assert [name for name, is_so in late.items() if is_so] == expected.split()
    span = net.trace.faults[0]
    assert span.name == "Latency(1)"
    assert span.where == str(injection.target)
    assert span.end == net.now() > span.begin


@simulated(seeds=SEEDS)
async def test_two_that_delay_both_do(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(1)), net.inject(faults.Latency(2)):
        await pair.near.send_all(b"x")
        assert await seconds_of(pair.far.receive_some()) == 3.001


@simulated(seeds=SEEDS)
async def test_of_two_that_limit_the_smaller_holds(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await pair.near.send_all(b"0123456789")
    await net.settle()
    with net.inject(faults.Slice(3)), net.inject(faults.SliceAt([2])):
        assert await pair.far.receive_some() == b"01"
        assert await pair.far.receive_some() == b"234"


@simulated(seeds=SEEDS)
async def test_what_is_delayed_can_be_lost_as_well(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Latency(1)), net.inject(faults.BlackHole()) as hole:
        await pair.near.send_all(b"x")
        hole.end()
        assert await seconds_of(pair.far.receive_some()) == 1.201


UNKNOWN: dict[str, Callable[[VirtualNetwork], Target]] = {
    "link": lambda net: net.link("bnak", "a"),
    "path": lambda net: net.path("a", "bnak"),
    "port": lambda net: net.port("bnak", 80),
}


@pytest.mark.parametrize("kind", UNKNOWN)
@simulated(seeds=1)
async def test_a_host_that_does_not_exist_is_refused_with_those_there_are(
    net: VirtualNetwork, kind: str
) -> None:
    net.host("a")
    net.host("bank")
    with pytest.raises(ValueError, match="no host 'bnak'; there are test, a, bank"):
        net.inject(faults.Hold(), on=UNKNOWN[kind](net))
    assert net.trace.faults == []
    net.host("bnak")
    net.inject(faults.Hold(), on=UNKNOWN[kind](net)).end()


async def test_the_host_of_the_test_is_there_before_it_does_anything() -> None:
    async with VirtualNetwork() as net:
        net.host("a")
        with net.inject(faults.Hold(), on=net.link("test", "a")):
            assert net.trace.faults[0].where == "test -> a"


@pytest.mark.parametrize("fault", ["a reset", faults.Reset, None])
def test_what_is_no_fault_is_refused(fault: object) -> None:
    with pytest.raises(TypeError, match=r"faults\.Reset\(\) is one"):
        VirtualNetwork().inject(cast("Any", fault))


def test_the_name_of_a_host_is_no_target() -> None:
    on: Any = "a"
    with pytest.raises(TypeError, match=r"net\.host\('a'\) is one"):
        VirtualNetwork().inject(faults.Reset(), on=on)
