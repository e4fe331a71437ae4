from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_tcp.testing.network import LinkOptions, VirtualNetwork
from trio_tcp.testing.traces import Segment


async def sink(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def send(
    net: VirtualNetwork, *messages: bytes, pause: float = 0.0
) -> list[Segment]:
    """Send messages from host a to host b; returns the segments that had them."""
    net.host("a")
    net.host("b").start(trio.serve_tcp, sink, 80)
    await net.settle()

    async def client() -> None:
        async with await trio.open_tcp_stream("b", 80) as stream:
            for message in messages:
                await stream.send_all(message)
                await trio.sleep(pause)
            await net.settle()

    await net.host("a").run(client)
    return [s for s in net.trace if s.payload]


def round_up(seconds: float) -> float:
    return round(seconds, 9)


def travel_times(segments: list[Segment]) -> list[float]:
    return [s.arrived - s.time for s in segments if s.arrived is not None]


async def test_every_segment_takes_the_latency_of_its_direction(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.link("a", "b").options = LinkOptions(latency=0.5)
        net.link("b", "a").options = LinkOptions(latency=0.25)
        await send(net, b"hello")
        there = [s for s in net.trace if s.sender == "a"]
        back = [s for s in net.trace if s.sender == "b"]
        assert set(map(round_up, travel_times(there))) == {0.5}
        assert set(map(round_up, travel_times(back))) == {0.25}


async def test_jitter_varies_the_latency_and_never_the_order(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.set_links(latency=0.1, jitter=0.2)
        segments = await send(net, *[bytes([n]) for n in range(50)])
        times = travel_times(segments)
        assert len(set(times)) > 1
        assert all(0.1 <= time <= 0.3 + 1e-9 for time in times)
        arrivals = [s.arrived or 0.0 for s in segments]
        assert arrivals == sorted(arrivals)


async def test_bandwidth_lets_segments_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.set_links(latency=0.1, bandwidth=1000)
        await send(net, bytes(10 * 1460))
        full = [s for s in net.trace if len(s.payload) == 1460]
        gaps = [(b.arrived or 0) - (a.arrived or 0) for a, b in pairwise(full)]
        assert gaps == pytest.approx([1.5] * 9)  # 40 bytes of headers


async def test_loss_is_a_delay_of_what_is_lost_and_of_what_is_behind_it(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork(seed=3) as net:
        net.set_links(latency=0.01, loss=0.1)
        segments = await send(net, *[bytes([n]) for n in range(40)], pause=0.05)
        times = travel_times(segments)
        assert min(times) == pytest.approx(0.01)
        assert max(times) >= 0.2  # Linux retransmits after that at the earliest
        arrivals = [s.arrived or 0.0 for s in segments]
        assert arrivals == sorted(arrivals)


async def test_a_segment_is_no_larger_than_both_directions_allow(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.link("b", "a").options = LinkOptions(mss=100)
        segments = await send(net, bytes(1000))
        assert [len(s.payload) for s in segments] == [100] * 10


async def test_links_are_set_for_all_hosts_those_to_come_too(
    autojump_clock: MockClock,
) -> None:
    net = VirtualNetwork()
    net.link("a", "b")
    net.set_links(latency=0.1)
    net.set_links("a", latency=0.2)
    net.set_links("c", "a", jitter=0.3)
    assert net.link("a", "b").options == LinkOptions(latency=0.2)
    assert net.link("b", "c").options == LinkOptions(latency=0.1)
    assert net.link("a", "c").options == LinkOptions(latency=0.2, jitter=0.3)
    assert net.link("c", "a").options == LinkOptions(latency=0.2, jitter=0.3)


async def test_a_host_reaches_itself_at_once_whatever_the_links_are(
    autojump_clock: MockClock,
) -> None:
    net = VirtualNetwork()
    net.set_links(latency=10)
    assert net.link("a", "a").options.latency < 0.001
    net.set_links("a", "a", latency=1)
    assert net.link("a", "a").options.latency == 1
    assert net.link("b", "b").options.latency < 0.001


@pytest.mark.parametrize(
    "options",
    [
        {"latency": -1},
        {"latency": math.nan},
        {"jitter": -0.1},
        {"bandwidth": 0},
        {"loss": 1},
        {"loss": -0.1},
        {"mss": 0},
        {"mss": 65_484},
    ],
)
def test_what_no_link_can_be_is_refused(options: dict[str, Any]) -> None:
    net = VirtualNetwork()
    (name,) = options
    with pytest.raises(ValueError, match=name):
        net.set_links(**options)
    assert net.link("a", "b").options == LinkOptions()


def test_an_option_that_links_do_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="lag"):
        VirtualNetwork().set_links(lag=1)


async def times_of(seed: int, others: int) -> list[float]:
    async with VirtualNetwork(seed=seed) as net:
        net.set_links(jitter=1.0)
        for number in range(others):
            net.link(f"other {number}", "b").travel_time(1, 0.0)
        return travel_times(await send(net, *[bytes([n]) for n in range(5)]))


async def test_what_a_link_draws_depends_on_the_seed_and_on_no_other_link(
    autojump_clock: MockClock,
) -> None:
    first = await times_of(1, others=0)
    assert first == await times_of(1, others=3)
    assert first != await times_of(2, others=0)
