from __future__ import annotations

import random

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import Path, VirtualNetwork
from trio_tcp.testing.simulation import simulated

PLAN = faults.Plan(
    [
        faults.Step(at=3, seconds=2, fault=faults.Hold()),
        faults.Step(at=1, seconds=4, fault=faults.Latency(0.5), on=Path("a", "b")),
        faults.Step(at=5, fault=faults.Reset()),
    ]
)


def test_a_fault_of_a_moment_needs_no_duration() -> None:
    assert faults.Step(at=5, fault=faults.Reset()).end == 5


def spans(net: VirtualNetwork) -> list[tuple[str, str, float, float | None]]:
    return [(span.name, span.where, span.begin, span.end) for span in net.trace.faults]


def test_it_is_printed_in_the_order_of_its_times() -> None:
    assert str(PLAN).splitlines() == [
        "    1.000 s, for 4.000 s: Latency(0.5) on a <-> b",
        "    3.000 s, for 2.000 s: Hold() on everything",
        "    5.000 s, for 0.000 s: Reset() on everything",
    ]
    assert PLAN.seconds == 5


@simulated(seeds=SEEDS)
async def test_each_fault_is_in_force_in_its_time(net: VirtualNetwork) -> None:
    net.host("a")
    net.host("b")
    await trio.sleep(10)
    await PLAN.run(net)
    assert spans(net) == [
        ("Latency(0.5)", "a <-> b", 11, 15),
        ("Hold()", "everything", 13, 15),
        ("Reset()", "everything", 15, 15),
    ]


@simulated(seeds=SEEDS)
async def test_a_time_too_short_for_the_clock_is_a_moment(net: VirtualNetwork) -> None:
    step = faults.Step(at=1, seconds=5e-324, fault=faults.Hold())
    await faults.Plan([step]).run(net)
    assert spans(net) == [("Hold()", "everything", 1, 1)]


@simulated(seeds=SEEDS)
async def test_cancellation_ends_what_is_in_force(net: VirtualNetwork) -> None:
    net.host("a")
    net.host("b")
    with trio.move_on_after(3.5):
        await PLAN.run(net)
    assert [(begin, end) for *_, begin, end in spans(net)] == [(1, 3.5), (3, 3.5)]
    pair = await connect(net)
    await pair.check()


@simulated(seeds=SEEDS)
async def test_after_the_block_all_is_over_and_quiet(net: VirtualNetwork) -> None:
    net.host("a")
    net.host("b")
    async with PLAN.running(net, quiet=60) as plan:
        assert plan is PLAN
        assert net.now() == 0
    assert net.now() == 65
    async with PLAN.running(net):
        await trio.sleep(100)
    assert net.now() == 165


@simulated(seeds=SEEDS)
async def test_an_error_of_the_block_bears_the_plan(net: VirtualNetwork) -> None:
    net.host("a")
    net.host("b")
    with pytest.raises(ZeroDivisionError) as caught:
        async with PLAN.running(net, quiet=60):
            await trio.sleep(2)
            raise ZeroDivisionError
    assert net.now() == 2
    assert str(PLAN) in caught.value.__notes__[0]
    assert [span.end for span in net.trace.faults] == [2]


def test_a_swizzle_stops_some_one_by_one_and_lets_them_return() -> None:
    paths = [Path("a", name) for name in "bcdefg"]
    orders: set[tuple[int, ...]] = set()
    for seed in range(50):
        plan = faults.swizzle(
            random.Random(seed), faults.Partition(), paths, seconds=12, at=3
        )
        stopped = [step.on for step in plan.steps]
        assert 1 <= len(stopped) == len(set(stopped))
        begins = [step.at for step in plan.steps]
        ends = [step.end for step in plan.steps]
        assert 3 == begins[0] <= begins[-1] < 9
        assert 9 < min(ends) <= max(ends) == pytest.approx(15)
        assert len({round(end, 6) for end in ends}) == len(ends)
        orders.add(tuple(sorted(range(len(ends)), key=ends.__getitem__)))
    assert len(orders) > 10


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_times_must_be_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="at must be a number of seconds"):
        faults.Step(at=seconds, fault=faults.Hold())
    with pytest.raises(ValueError, match="seconds must be a number of seconds"):
        faults.Step(at=1, seconds=seconds, fault=faults.Hold())
