from __future__ import annotations

import io
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.cli.bench.samples import CLOSED, OPEN, result
from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import Result
from trio_tcp.cli._bench._show import BAR, bar, show


def shown(one: Result) -> str:
    """Return what is printed where it is no terminal."""
    console = Console(file=io.StringIO(), width=100)
    show(one, "the title", console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_report_has_the_figures() -> None:
    text = shown(CLOSED)
    assert "\x1b" not in text
    for line in (
        r"the title",
        r"replies +4 +2 per second",
        r"sent +3\.9 KiB +2\.0 KiB/s",
        r"measured for +2\.00 s +this program: 25% of a core",
        r" +50 % +2\.0[01] ms",
        r" +100 % +4\.00 ms",
        r" +mean +2\.50 ms",
    ):
        assert re.search(f"^{line} *$", text, re.MULTILINE), line
    assert "from when it was sent" not in text


def test_an_open_loop_shows_both_latencies() -> None:
    text = shown(OPEN)
    assert "from when it was sent" in text
    assert re.search(r"^ +100 % +4\.00 ms +2\.00 ms *$", text, re.MULTILINE)


def test_errors_and_warnings_are_shown() -> None:
    text = shown(result(errors=Counter({"reset": 1200}), unanswered=3))
    assert re.search(r"^reset +1,200 *$", text, re.MULTILINE)
    assert "! 3 requests got no reply." in text


def test_a_run_without_replies_is_shown_without_percentiles() -> None:
    text = shown(result(latency=Histogram(), seconds=0.0))
    assert "replies" in text
    assert "percentile" not in text


@given(st.floats(min_value=0, max_value=1))
def test_a_bar_is_as_long_as_its_share(share: float) -> None:
    """To an eighth of a column; what is not nothing is seen."""
    drawn = bar(share)
    assert abs(len(drawn) - share * BAR) <= 1
    assert bool(drawn) == (share > 0)
