from __future__ import annotations

import itertools
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp.cli._bench._schedule import ClosedLoop, OpenLoop, poisson, uniform

INF = math.inf
rates = st.floats(min_value=0.01, max_value=1e6)
moments = st.floats(min_value=0, max_value=100)


def take_all(schedule: ClosedLoop | OpenLoop, now: float) -> list[float]:
    """Take all that is due."""
    return list(iter(lambda: schedule.take(now), None))


@given(rates, moments)
def test_uniform_arrivals_do_not_drift(rate: float, start: float) -> None:
    """The thousandth is where it belongs, however rates are rounded."""
    thousandth = next(itertools.islice(uniform(rate, start), 1000, None))
    assert thousandth == pytest.approx(start + 1000 / rate)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() -> None:
    """Of exponential distances, mean and deviation are the same."""
    times = [0.0, *itertools.islice(poisson(100, 0.0, Random(1)), 20_000)]
    distances = [after - before for before, after in itertools.pairwise(times)]
    mean = sum(distances) / len(distances)
    deviation = math.sqrt(sum((d - mean) ** 2 for d in distances) / len(distances))
    assert mean == pytest.approx(0.01, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.03)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    one, same, other = (
        list(itertools.islice(poisson(5, 0.0, Random(seed)), 10)) for seed in (1, 1, 2)
    )
    assert one == same != other


@given(st.lists(moments, min_size=1, max_size=50))
def test_in_an_open_loop_each_request_is_due_when_it_was_planned(
    looks: list[float],
) -> None:
    """Whenever it is taken, and in order; none is left out, and none comes early."""
    schedule = OpenLoop(uniform(2, 0.0), 0.0, INF, INF)
    taken: list[float] = []
    for now in sorted(looks):
        due = take_all(schedule, now)
        assert all(time <= now for time in due)
        taken += due
        assert schedule.next_due > now
    assert taken == [number / 2 for number in range(len(taken))]


def test_an_open_loop_ends_with_its_time() -> None:
    schedule = OpenLoop(uniform(1, 0.0), 0.0, 3.0, INF)
    assert take_all(schedule, 10.0) == [0.0, 1.0, 2.0]
    assert schedule.next_due == INF


def test_an_open_loop_ends_with_its_last_request_that_counts() -> None:
    """Those of the warm-up do not."""
    schedule = OpenLoop(uniform(1, 0.0), 2.0, INF, 3)
    assert take_all(schedule, 10.0) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert schedule.next_due == INF


def test_what_was_due_and_never_taken_is_counted() -> None:
    """But not what would have been due later, or in the warm-up."""
    schedule = OpenLoop(uniform(1, 0.0), 2.0, 100.0, INF)
    assert schedule.take(0.0) == 0.0
    assert schedule.cut(4.5) == 3
    assert schedule.take(200.0) is None


def test_in_a_closed_loop_a_request_is_due_whenever_there_is_room() -> None:
    schedule = ClosedLoop(0.0, 10.0, INF)
    assert [schedule.take(now) for now in (1.0, 1.0, 2.5)] == [1.0, 1.0, 2.5]
    assert schedule.take(10.0) is None
    assert schedule.next_due == INF


def test_a_closed_loop_ends_with_its_last_request_that_counts() -> None:
    schedule = ClosedLoop(5.0, INF, 2)
    assert [schedule.take(now) for now in (1.0, 4.0, 5.0, 6.0, 7.0)] == [
        1.0,
        4.0,
        5.0,
        6.0,
        None,
    ]


def test_a_closed_loop_that_is_stopped_in_the_warm_up_ends() -> None:
    schedule = ClosedLoop(5.0, INF, INF)
    assert schedule.cut(1.0) == 0
    assert schedule.take(1.0) is None
