from __future__ import annotations

import io
import math
from collections import Counter

from rich.console import Console

from tests.cli.bench.samples import CLOSED, result
from trio_tcp.cli._bench._progress import progress_bar
from trio_tcp.cli._bench._result import Result


def shown(one: Result, *, terminal: bool, duration: float = 4.0) -> str:
    """Return what is written while the result grows to this."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with progress_bar(console, duration, math.inf) as on_progress:
        on_progress(one)
    return file.getvalue()


def test_a_terminal_shows_the_rate_and_the_tail_so_far() -> None:
    text = shown(CLOSED, terminal=True)
    assert "2/s  p99 4.00 ms" in text
    assert "errors" not in text


def test_errors_are_seen_while_they_happen() -> None:
    assert "3 errors" in shown(result(errors=Counter({"reset": 3})), terminal=True)


def test_nothing_is_shown_where_it_is_no_terminal() -> None:
    assert shown(CLOSED, terminal=False) == ""


def test_a_run_without_replies_yet_is_shown() -> None:
    """In one that has no end of its own, too."""
    empty = result(latency=type(CLOSED.latency)(), seconds=0.0)
    assert "0/s  p99 -" in shown(empty, terminal=True, duration=math.inf)
