from __future__ import annotations

from benchmarks._figures import Ratio, figures_of
from benchmarks._workloads import WORKLOADS
from tests.benchmarks.samples import memory, rounds

PP64 = WORKLOADS["pp64"]


def test_a_figure_is_the_median_with_its_extremes() -> None:
    [one] = figures_of(PP64, rounds("pp64", "some", 100, 90, 130))
    assert (one.rounds, one.value, one.lowest, one.highest) == (3, 100, 90, 130)
    assert one.spread == 0.2
    assert (one.per_second, one.server_busy, one.client_busy) == (50, 0.5, 0.25)


def test_a_ratio_is_that_of_medians_with_extremes_within_a_round() -> None:
    samples = [
        *rounds("pp64", "some", 200, 330, 220),
        *rounds("pp64", "trio_plain", 100, 110, 88),
    ]
    best, baseline = figures_of(PP64, samples)
    assert best.ratio == Ratio(median=2.2, lowest=2.0, highest=3.0)
    assert baseline.ratio == Ratio(median=1.0, lowest=1.0, highest=1.0)


def test_less_memory_is_better() -> None:
    samples = [memory("small", 2), memory("trio_plain", 6), memory("large", 12)]
    figures = figures_of(WORKLOADS["idle"], samples)
    assert [one.server for one in figures] == ["small", "trio_plain", "large"]
    assert [one.ratio.median for one in figures if one.ratio] == [3.0, 1.0, 0.5]


def test_a_workload_may_have_another_baseline() -> None:
    samples = [
        *rounds("kv1", "trio_tcp", 300),
        *rounds("kv1", "asyncio_streams", 200),
        *rounds("kv1", "trio_plain", 100),
    ]
    best, *_ = figures_of(WORKLOADS["kv1"], samples)
    assert best.ratio == Ratio(median=1.5, lowest=1.5, highest=1.5)


def test_without_the_baseline_there_is_no_ratio() -> None:
    [one] = figures_of(PP64, rounds("pp64", "some", 1, 2, 3))
    assert one.ratio is None


def test_rounds_without_the_baseline_make_no_extremes() -> None:
    samples = [
        *rounds("pp64", "some", 200, 900),
        *rounds("pp64", "trio_plain", 100),
    ]
    best, _ = figures_of(PP64, samples)
    assert best.ratio == Ratio(median=5.5, lowest=2.0, highest=2.0)


def test_other_workloads_do_not_count() -> None:
    assert figures_of(PP64, rounds("pipe", "some", 1)) == []


def test_the_best_comes_first() -> None:
    samples = [*rounds("pp64", "slow", 1), *rounds("pp64", "fast", 2)]
    assert [one.server for one in figures_of(PP64, samples)] == ["fast", "slow"]
