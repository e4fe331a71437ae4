"""`max_accept_rate`: how many may come at once, and how many each second."""

from __future__ import annotations

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.limits.limiting import FAREWELL, Serving, answers, is_reset, serve
from trio_tcp import Limits


def rate(per_second: float) -> Limits:
    """Limit nothing but the rate."""
    return Limits(max_accept_rate=per_second)


async def admitted(serving: Serving, count: int) -> int:
    """Let so many clients connect at once; return how many are served."""
    return sum([await answers(await serving.connect()) for _ in range(count)])


@pytest.mark.parametrize("per_second", [1, 2, 5, 128])
async def test_one_seconds_worth_may_come_at_once_and_then_so_many_each_second(
    per_second: int, autojump_clock: MockClock
) -> None:
    async with serve(rate(per_second)) as serving:
        assert await admitted(serving, 2 * per_second) == per_second
        for _ in range(5):
            await trio.sleep(1 / per_second)
            assert await admitted(serving, 3) == 1
        await trio.sleep(1)
        assert await admitted(serving, 2 * per_second) == per_second
        # Time does not add up to more.
        await trio.sleep(50)
        assert await admitted(serving, 2 * per_second) == per_second


async def test_a_rate_may_be_below_one(autojump_clock: MockClock) -> None:
    async with serve(rate(1 / 4)) as serving:
        assert await admitted(serving, 3) == 1
        await trio.sleep(3.75)
        assert await admitted(serving, 3) == 0
        await trio.sleep(0.25)
        assert await admitted(serving, 3) == 1
        # Half of a rest is kept for the next.
        await trio.sleep(6)
        assert await admitted(serving, 3) == 1
        await trio.sleep(4)
        assert await admitted(serving, 3) == 1


async def test_who_comes_too_fast_is_reset_without_a_farewell(
    autojump_clock: MockClock,
) -> None:
    limits = attrs.evolve(rate(2), farewell=FAREWELL)
    async with serve(limits) as serving:
        assert await admitted(serving, 2) == 2
        for _ in range(20):
            assert await is_reset(await serving.connect())
        assert await serving.rejected() == {"max_accept_rate": 20}
        assert serving.reached() == [("max_accept_rate", 2)]
        statistics = serving.server.statistics()
        assert (statistics.accepted, statistics.open) == (2, 2)


async def test_a_rate_may_be_replaced(autojump_clock: MockClock) -> None:
    async with serve(Limits()) as serving:
        assert await admitted(serving, 50) == 50
        serving.server.limits = rate(5)
        assert await admitted(serving, 50) == 5
        serving.server.limits = rate(2)
        await trio.sleep(1)
        assert await admitted(serving, 50) == 2
        serving.server.limits = Limits()
        assert await admitted(serving, 50) == 50


@given(
    st.sampled_from([0.25, 0.5, 1, 3, 7.5]),
    st.lists(st.tuples(st.sampled_from([0, 0.125, 1, 6]), st.integers(1, 10))),
)
def test_in_any_span_of_time_there_are_never_more_than_its_worth(
    per_second: float, arrivals: list[tuple[float, int]]
) -> None:
    async def main() -> None:
        times: list[float] = []
        async with serve(rate(per_second)) as serving:
            for pause, count in arrivals:
                await trio.sleep(pause)
                times += [trio.current_time()] * await admitted(serving, count)
        for first, began in enumerate(times):
            for last, ended in enumerate(times[first:], first):
                worth = max(per_second, 1) + (ended - began) * per_second
                assert last - first + 1 <= worth
        if arrivals:
            assert times  # the first is never too fast

    trio.run(main, clock=MockClock(autojump_threshold=0))
