from __future__ import annotations

import random
from contextlib import suppress
from itertools import pairwise

import pytest
import trio

from tests.testing.faults.pairs import Pair, connect, receive_all
from trio_tcp.testing import faults
from trio_tcp.testing.network import Host, VirtualNetwork
from trio_tcp.testing.simulation import simulated

MESSAGE = random.Random(1).randbytes(30_000)


async def exchange(pair: Pair, pause: float) -> None:
    """Send a message both ways, bit by bit, and see it arrive whole."""

    async def send(stream: trio.SocketStream) -> None:
        for start in range(0, len(MESSAGE), 3000):
            await stream.send_all(MESSAGE[start : start + 3000])
            await trio.sleep(pause)
        await stream.send_eof()

    async def receive(stream: trio.SocketStream) -> None:
        assert await receive_all(stream) == MESSAGE

    async with trio.open_nursery() as nursery:
        for stream in (pair.near, pair.far):
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, stream)


@simulated(seeds=15)
async def test_no_byte_is_skipped_or_doubled(net: VirtualNetwork) -> None:
    for name in ("a", "b"):
        host = net.host(name)
        host.receive_buffer = host.send_buffer = net.random.choice((2000, 8000, 65_536))
    pair = await connect(net)
    chaos = faults.Chaos(faults=faults.DELAYING, on=[net.path("a", "b"), net.host("a")])
    async with chaos.running(net):
        await exchange(pair, 3)


@simulated(seeds=20)
async def test_everything_works_again_afterwards(net: VirtualNetwork) -> None:
    async def echo(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async for some in stream:
                await stream.send_all(some)

    async def ask() -> bytes:
        async with await trio.open_tcp_stream("b", 80) as stream:
            await stream.send_all(b"hello")
            return bytes(await stream.receive_some())

    async def ask_often() -> None:
        for _ in range(30):
            with trio.move_on_after(1):
                # Nothing wrong: the reply, a part of it, or an error that says so.
                with suppress(OSError, trio.BrokenResourceError):
                    assert b"hello".startswith(await ask())
            await trio.sleep(1)

    net.host("b").start(trio.serve_tcp, echo, 80)
    kinds = [*faults.DELAYING, *faults.BREAKING, faults.Crash.draw]
    chaos = faults.Chaos(faults=kinds, on=[net.host("b"), net.path("a", "b")])
    async with chaos.running(net):
        await net.host("a").run(ask_often)
    assert all(span.end is not None for span in net.trace.faults)
    assert await net.host("a").run(ask) == b"hello"


def draw(seed: int, chaos: faults.Chaos) -> faults.Plan:
    net = VirtualNetwork(seed=seed)
    for name in ("a", "b", "c"):
        net.host(name)
    return chaos.draw(net)


def test_one_seed_is_one_plan() -> None:
    chaos = faults.Chaos()
    plans = [str(draw(seed, chaos)) for seed in range(20)]
    assert plans == [str(draw(seed, chaos)) for seed in range(20)]
    assert len(set(plans)) == 20


def test_all_kinds_are_drawn_and_end_in_time() -> None:
    chaos = faults.Chaos(seconds=20, longest=4)
    kinds: set[str] = set()
    for seed in range(40):
        plan = draw(seed, chaos)
        assert plan.seconds <= 20
        for step in plan.steps:
            assert step.seconds <= 4
            kinds.add(type(step.fault).__name__)
            if isinstance(step.fault, faults.Pause):
                assert isinstance(step.on, Host)
    assert len(kinds) == len(faults.DELAYING + faults.BREAKING)


def test_one_by_one_means_that_none_overlap() -> None:
    chaos = faults.Chaos(one_by_one=True, swizzles=0)
    for seed in range(20):
        steps = draw(seed, chaos).steps
        assert all(one.end <= other.at for one, other in pairwise(steps))
    overlapping = draw(1, faults.Chaos()).steps
    assert any(one.end > other.at for one, other in pairwise(overlapping))


def test_its_numbers_must_fit() -> None:
    with pytest.raises(ValueError, match="must be in this order"):
        faults.Chaos(seconds=1, longest=2)
    with pytest.raises(ValueError, match="faults"):
        faults.Chaos(faults=[])
    with pytest.raises(ValueError, match=r"pause must be a number .*above zero"):
        faults.Chaos(pause=0)
