from __future__ import annotations

import json
import math
from collections import Counter

import pytest

from tests.cli.bench.samples import CLOSED, OPEN, result
from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._plan import Plan
from trio_tcp.cli._bench._processes import share_of
from trio_tcp.cli._bench._result import Result, Stretch, from_json, merged, to_json


def figures(of: Result) -> dict[str, object]:
    """Return all of it as JSON has it, buckets included."""
    return to_json(of)


@pytest.mark.parametrize(
    "one", [CLOSED, OPEN, result(latency=Histogram(), over_time=())]
)
def test_a_result_survives_json(one: Result) -> None:
    """Also one in which nothing was measured."""
    text = json.dumps(to_json(one), allow_nan=False)
    assert figures(from_json(json.loads(text))) == figures(one)


def test_json_has_the_percentiles_for_whoever_reads_it() -> None:
    found = to_json(CLOSED)["latency"]
    assert found["percentiles"]["100"] == found["greatest"] == 0.004
    assert found["percentiles"]["50"] == pytest.approx(0.002, rel=0.004)
    assert found["count"] == 4


def test_results_of_processes_are_put_together() -> None:
    other = result(
        OPEN,
        latency=Histogram([0.1]),
        errors=Counter({"reset": 2}),
        seconds=3.0,
        unanswered=1,
        unsent=5,
        cpu_seconds=(1.0,),
        over_time=(Stretch(1.1, 2, 0.1),),
    )
    both = merged([OPEN, other])
    assert both.replies == 5
    assert both.latency.greatest == 0.1
    assert both.uncorrected is not None
    assert both.uncorrected.count == 8
    assert (both.connections, both.rate, both.seconds) == (4, 4.0, 3.0)
    assert (both.unanswered, both.unsent) == (1, 5)
    assert both.errors == {"reset": 2}
    assert both.cpu_seconds == (0.5, 1.0)
    assert both.over_time == (Stretch(1.1, 3, 0.1), Stretch(2.0, 3, 0.004))


def test_the_worst_ending_of_several_is_that_of_all() -> None:
    endings = [result(ending=ending) for ending in ("complete", "lost", "interrupted")]
    assert merged(endings).ending == "lost"
    assert merged(endings[::2]).ending == "interrupted"


@pytest.mark.parametrize(
    ("one", "is_good"),
    [
        (CLOSED, True),
        (result(ending="interrupted"), True),
        (result(ending="lost"), False),
        (result(errors=Counter({"reset": 1})), False),
        (result(unanswered=1), False),
        (result(latency=Histogram()), False),
    ],
)
def test_a_result_is_good_without_errors(one: Result, is_good: bool) -> None:
    assert one.is_good is is_good


def test_a_generator_that_takes_a_whole_core_was_too_slow() -> None:
    """The busiest of several processes counts."""
    assert not result(cpu_seconds=(1.7, 0.1)).was_too_slow
    assert result(cpu_seconds=(0.1, 1.9)).was_too_slow


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_the_shares_of_processes_are_the_whole(processes: int) -> None:
    plan = Plan(frames=(b"a",), connections=10, rate=100.0, requests=50)
    shares = [share_of(plan, number, processes) for number in range(processes)]
    assert sum(share.connections for share in shares) == 10
    assert all(share.connections for share in shares)
    assert sum(share.requests for share in shares) == 50
    assert sum(share.rate or 0 for share in shares) == pytest.approx(100.0)
    assert len({share.seed for share in shares}) == processes


def test_a_share_of_endless_requests_is_endless() -> None:
    plan = Plan(frames=(b"a",), connections=2)
    assert share_of(plan, 1, 2).requests == math.inf
