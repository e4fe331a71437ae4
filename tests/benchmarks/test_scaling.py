"""The arithmetic of docs/performance/scaling.md, with costs that nobody measured."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._machine import Machine
from benchmarks.scaling import Costs, redis_seconds, tables, written_into

ROOT = Path(__file__).parents[2]
COSTS = Costs(
    deliveries=100_000,
    deliveries_4k=50_000,
    user_kib=8,
    publish_seconds=0.000_01,
    copy_seconds=0.000_001,
)


@pytest.mark.parametrize(
    "line",
    [
        "| deliveries of 4 KiB per second of one core | 50,000 |",
        "| publications per second of Redis's core | 100,000 |",
        "| copies to processes per second of Redis's core | 1,000,000 |",
        # 1000 publications to 20 each: 20,000 / 100,000 / half busy. One copy.
        "| 10,000 users, rooms | 20,000 | 1 | 0.076 GiB | 1.1% |",
        # To 40 processes, of which a room is in 20.
        "| 1,000,000 users, rooms | 2,000,000 | 40 | 7.6 GiB | 300.0% |",
        "| 1,000,000 users, feed | 10,000,000 | 200 | 7.6 GiB | 0.2% |",
    ],
)
def test_what_follows_from_the_costs(line: str) -> None:
    assert line in tables(COSTS, Machine.this()).splitlines()


def test_a_copy_that_costs_too_little_to_measure_is_not_divided_by() -> None:
    assert "| inf |" in tables(replace(COSTS, copy_seconds=0), Machine.this())


def test_the_page_takes_the_tables_between_its_marks() -> None:
    page = (ROOT / "docs" / "performance" / "scaling.md").read_text(encoding="utf-8")
    once = written_into(page, "first\n")
    assert written_into(once, "second\n") == written_into(page, "second\n")
    before, _, after = once.partition("first\n")
    assert page.startswith(before)
    assert page.endswith(after)


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no marks"):
        written_into("# A page\n", "text\n")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no Redis")
def test_it_measures_redis() -> None:
    """A publication takes less than it would take to send it by hand."""
    assert 0 < redis_seconds(2) < 0.01
