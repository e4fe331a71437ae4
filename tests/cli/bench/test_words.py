from __future__ import annotations

import math

import pytest

from tests.cli.bench.samples import CLOSED, OPEN, result
from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._words import (
    bytes_words,
    headline,
    seconds_words,
    warnings_about,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.234, "1.23 s"),
        (12.34, "12.3 s"),
        (1234.5, "1,234 s"),
        (0.001, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.00 s"),
        (0.000_123_4, "123 µs"),
        (0.000_000_05, "0.05 µs"),
        (0.0, "0.00 µs"),
        (math.nan, "-"),
    ],
)
def test_times_have_three_digits_and_a_unit(seconds: float, words: str) -> None:
    assert seconds_words(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KiB"), (5 << 40, "5,120.0 GiB")],
)
def test_bytes_have_a_unit(count: float, words: str) -> None:
    assert bytes_words(count) == words


def test_the_headline_says_which_loop_it_was() -> None:
    assert headline(CLOSED) == "closed loop, 2 connections, 3 in flight on each"
    assert headline(OPEN).startswith("open loop, 2 requests/s, 2 connections")
    assert "a connection for each request" in headline(result(mode="churn"))
    assert "no replies" in headline(result(mode="one-way", connections=1))


def test_nothing_is_said_against_a_good_result() -> None:
    assert warnings_about(CLOSED) == warnings_about(OPEN) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ending": "lost"}, "did not come back"),
        ({"ending": "interrupted"}, "interrupted"),
        ({"cpu_seconds": (1.9,)}, "95% of a core"),
        ({"unsent": 1234}, "1,234 requests were due and not sent"),
        ({"unanswered": 5}, "5 requests got no reply"),
        ({"lateness": Histogram([0.001])}, "late itself, by 1.00 ms"),
    ],
)
def test_reasons_not_to_believe_the_figures_are_named(
    changes: dict[str, object], words: str
) -> None:
    [warning] = warnings_about(result(OPEN, **changes))
    assert words in warning
