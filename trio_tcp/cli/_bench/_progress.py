"""How far a run is, while it runs: on a terminal, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trio_tcp.cli._bench._result import Result
from trio_tcp.cli._bench._words import seconds_words

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    console: Console, duration: float, requests: float
) -> Generator[Callable[[Result], None], None, None]:
    """Show progress during the block, which gets a function to call now and then.

    Args:
        console: nothing is shown where it is no terminal.
        duration: seconds that the run takes at most.
        requests: that it makes at most.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        # Drawn when there is news, and by no thread that takes from what is measured.
        auto_refresh=False,
    )
    with bar:
        task = bar.add_task("connecting, warming up", total=None)

        def on_progress(result: Result) -> None:
            p99 = seconds_words(result.latency.percentile(99))
            words = f"{result.replies_per_second:,.0f}/s  p99 {p99}"
            if errors := result.errors.total():
                words += f"  {errors:,} errors"
            done = max(result.seconds / duration, result.replies / requests)
            known = min(duration, requests) < math.inf
            bar.update(
                task, description=words, completed=done, total=1 if known else None
            )
            bar.refresh()

        bar.refresh()
        yield on_progress
