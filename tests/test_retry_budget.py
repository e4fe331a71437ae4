"""How many retries a budget allows, in whatever order and time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp._requests import RetryTokens


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def account(
    *, window: float = 10, min_per_second: float = 0, share: float = 0
) -> tuple[RetryTokens, Clock]:
    budget = trio_tcp.RetryBudget(
        window=window, min_per_second=min_per_second, share=share
    )
    clock = Clock()
    return RetryTokens(budget, clock), clock


def withdraw_all(tokens: RetryTokens) -> int:
    count = 0
    while tokens.withdraw():
        count += 1
    return count


def test_by_default_it_is_a_fifth_of_the_requests_and_ten_per_second() -> None:
    budget = trio_tcp.RetryBudget()
    assert (budget.window, budget.min_per_second, budget.share) == (10, 10, 0.2)


def test_there_is_a_reserve_from_the_beginning() -> None:
    tokens, _ = account(min_per_second=3)
    assert withdraw_all(tokens) == 30


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 1, 2])
def test_requests_pay_for_their_share_of_retries(share: float) -> None:
    tokens, _ = account(share=share)
    assert withdraw_all(tokens) == 0
    for _ in range(100):
        tokens.deposit()
    assert withdraw_all(tokens) == 100 * share


def test_nothing_is_allowed_where_nothing_is_given() -> None:
    tokens, _ = account()
    for _ in range(1000):
        tokens.deposit()
    assert not tokens.withdraw()


def test_what_is_longer_ago_than_the_window_counts_no_more() -> None:
    tokens, clock = account(min_per_second=1, share=1)
    for _ in range(5):
        tokens.deposit()
    clock.now += 9.9
    assert withdraw_all(tokens) == 15  # requests of the last ten seconds pay
    clock.now += 1.2
    assert withdraw_all(tokens) == 0  # they are forgotten, but the retries are not
    clock.now += 10
    assert withdraw_all(tokens) == 10


def test_a_long_pause_fills_the_reserve_and_no_more() -> None:
    tokens, clock = account(min_per_second=1)
    withdraw_all(tokens)
    clock.now += 1e6
    assert withdraw_all(tokens) == 10


def test_a_budget_can_be_without_limit() -> None:
    tokens, _ = account(min_per_second=math.inf)
    assert all(tokens.withdraw() for _ in range(10_000))


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 3),  # seconds that pass
            st.integers(0, 5),  # requests
            st.integers(0, 5),  # of which so many want to be sent again
        ),
        max_size=60,
    ),
    min_per_second=st.sampled_from([0, 0.1, 0.5]),
    share=st.sampled_from([0, 0.2, 1]),
)
def test_no_window_has_more_retries_than_its_share_and_the_reserve(
    steps: list[tuple[float, int, int]], min_per_second: float, share: float
) -> None:
    window = 10.0
    tokens, clock = account(window=window, min_per_second=min_per_second, share=share)
    requests: list[float] = []
    retries: list[float] = []
    for seconds, asked, failed in steps:
        clock.now += seconds
        for _ in range(asked):
            tokens.deposit()
            requests.append(clock.now)
        for _ in range(failed):
            paid = sum(clock.now - at < 1.1 * window for at in requests) * share
            spent = sum(clock.now - at < window for at in retries)
            if tokens.withdraw():
                retries.append(clock.now)
                assert spent + 1 <= paid + min_per_second * window + 1e-6
            else:  # not too strict, either
                paid = sum(clock.now - at < window for at in requests) * share
                spent = sum(clock.now - at < 1.1 * window for at in retries)
                assert spent + 1 > paid + min_per_second * window - 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0},
        {"window": math.inf},
        {"min_per_second": -1},
        {"share": math.nan},
        {"share": "20 %"},
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        trio_tcp.RetryBudget(**options)
