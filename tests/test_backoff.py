"""What `Backoff` promises: delays that grow, that end growing, and that differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice, pairwise
from random import Random
from typing import Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp import Backoff

Jitter: TypeAlias = Literal["full", "decorrelated", "none"]

SECONDS = st.floats(min_value=0.001, max_value=1000)


def delays(backoff: Backoff, count: int, seed: int = 0) -> list[float]:
    """The first delays that a seed gives."""
    return list(islice(backoff.delays(Random(seed)), count))


def test_without_jitter_delays_grow_up_to_the_maximum_and_stay_there() -> None:
    backoff = Backoff(initial=0.5, factor=2, maximum=5, jitter="none")
    assert delays(backoff, 7) == [0.5, 1, 2, 4, 5, 5, 5]


@given(
    initial=SECONDS,
    more=SECONDS,
    factor=st.floats(min_value=1, max_value=10),
    seed=st.integers(),
)
def test_full_jitter_never_exceeds_the_delay_without_it(
    initial: float, more: float, factor: float, seed: int
) -> None:
    full = Backoff(initial=initial, maximum=initial + more, factor=factor)
    none = Backoff(
        initial=initial, maximum=initial + more, factor=factor, jitter="none"
    )
    for delay, most in zip(delays(full, 50, seed), delays(none, 50), strict=True):
        assert 0 <= delay <= most


@given(
    initial=SECONDS,
    more=SECONDS,
    factor=st.floats(min_value=1, max_value=10),
    seed=st.integers(),
)
def test_decorrelated_jitter_stays_between_the_first_and_a_multiple_of_the_last(
    initial: float, more: float, factor: float, seed: int
) -> None:
    backoff = Backoff(
        initial=initial, maximum=initial + more, factor=factor, jitter="decorrelated"
    )
    drawn = delays(backoff, 50, seed)
    assert all(initial <= delay <= initial + more for delay in drawn)
    assert all(
        later <= (factor + 1) * delay * 1.000001 for delay, later in pairwise(drawn)
    )


@pytest.mark.parametrize("jitter", ["full", "decorrelated"])
def test_jitter_uses_all_of_its_range(jitter: Jitter) -> None:
    backoff = Backoff(initial=1, maximum=8, jitter=jitter)
    lowest = 0 if jitter == "full" else 1
    late = [delays(backoff, 10, seed)[-1] for seed in range(200)]
    assert min(late) < lowest + 1
    assert max(late) > 7


@pytest.mark.parametrize("jitter", ["full", "decorrelated"])
def test_clients_that_fail_together_come_back_apart(jitter: Jitter) -> None:
    backoff = Backoff(jitter=jitter)
    first = {delays(backoff, 1, seed)[0] for seed in range(1000)}
    assert len(first) == 1000


@pytest.mark.parametrize("jitter", ["full", "decorrelated", "none"])
def test_the_same_randomness_gives_the_same_delays(jitter: Jitter) -> None:
    backoff = Backoff(jitter=jitter)
    assert delays(backoff, 20, seed=7) == delays(backoff, 20, seed=7)


@pytest.mark.parametrize("jitter", ["full", "decorrelated", "none"])
def test_delays_have_no_end_and_no_overflow(jitter: Jitter) -> None:
    backoff = Backoff(initial=1, factor=1000, maximum=60, jitter=jitter)
    assert all(0 <= delay <= 60 for delay in delays(backoff, 5000))


WRONG: Iterable[tuple[str, object, str]] = [
    ("initial", 0, "initial must be a number of seconds, above zero and finite"),
    ("initial", math.nan, "initial must be a number of seconds"),
    ("maximum", math.inf, "maximum must be a number of seconds, above zero and finite"),
    ("maximum", "5", "maximum must be a number of seconds"),
    ("factor", 0.5, "factor must be a number, one or more and finite"),
    ("factor", math.inf, "factor must be a number"),
    ("factor", True, "factor must be a number"),
    ("healthy", -1, "healthy must be a number of seconds, zero or more"),
    ("max_attempts", 0, "max_attempts must be a whole number, one or more"),
    ("max_attempts", 2.5, "max_attempts must be a whole number"),
    ("jitter", "some", "jitter must be 'full'"),
    ("initial", 31, r"initial \(31 s\) must not be more than maximum \(30 s\)"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_makes_no_sense_is_refused_by_name(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        trio_tcp.Backoff(**{name: value})  # type: ignore[arg-type] # the point
