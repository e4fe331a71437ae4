from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp.cli._bench._histogram import RELATIVE_ERROR, Histogram

seconds = st.floats(min_value=1e-9, max_value=1e6)
many = st.lists(seconds, min_size=1, max_size=200)


def exact_percentile(values: list[float], percent: float) -> float:
    """Return the least value that so many percent do not exceed."""
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


@given(many, st.floats(min_value=0, max_value=100))
def test_a_percentile_is_the_exact_one_within_the_error(
    values: list[float], percent: float
) -> None:
    """The error is relative, from nanoseconds to days."""
    found = Histogram(values).percentile(percent)
    assert found == pytest.approx(exact_percentile(values, percent), rel=RELATIVE_ERROR)


@given(many)
def test_the_extremes_and_the_mean_are_exact(values: list[float]) -> None:
    histogram = Histogram(values)
    assert histogram.percentile(0) == histogram.least == min(values)
    assert histogram.percentile(100) == histogram.greatest == max(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))


@given(many)
def test_several_percentiles_are_those_that_are_asked_for_one_by_one(
    values: list[float],
) -> None:
    histogram = Histogram(values)
    percents = [0, 10, 50, 99, 99.9, 100]
    assert histogram.percentiles(percents) == [*map(histogram.percentile, percents)]


@given(many, many)
def test_a_merged_histogram_is_that_of_all_values(
    some: list[float], others: list[float]
) -> None:
    merged, whole = Histogram(some), Histogram([*some, *others])
    merged.merge(Histogram(others))
    assert merged.buckets == whole.buckets
    assert merged.percentiles([0, 50, 100]) == whole.percentiles([0, 50, 100])
    assert merged.total == pytest.approx(whole.total)


@given(many)
def test_it_can_be_made_again_of_its_buckets(values: list[float]) -> None:
    one = Histogram(values)
    other = Histogram.of_buckets(one.buckets, one.total, one.least, one.greatest)
    assert other.count == one.count == len(values)
    percents = [0, 25, 50, 75, 100]
    assert other.percentiles(percents) == one.percentiles(percents)


@given(many, st.integers(min_value=1, max_value=20))
def test_each_value_is_in_one_column_of_its_spread(
    values: list[float], columns: int
) -> None:
    """The columns go from the least to the greatest, without gaps."""
    spread = Histogram(values).spread(columns)
    assert len(spread) == columns
    assert sum(count for _, _, count in spread) == len(values)
    assert spread[0][0] == pytest.approx(min(values))
    assert spread[-1][1] >= max(values) * (1 - RELATIVE_ERROR)


def test_nothing_measured_is_no_number() -> None:
    empty = Histogram()
    assert math.isnan(empty.percentile(50))
    assert math.isnan(empty.mean)
    assert empty.spread(3) == []


def test_a_latency_of_nothing_is_counted() -> None:
    """Where a clock did not move in between."""
    histogram = Histogram([0.0, 0.0, 1.0])
    assert histogram.percentile(50) == pytest.approx(0.0, abs=1e-30)
    assert [count for _, _, count in histogram.spread(2)] == [2, 1]
