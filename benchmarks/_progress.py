"""What is going on: a bar on a terminal, elsewhere a line for each run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks._session import Run

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(runs: int) -> Generator[Callable[[Run], None], None, None]:
    """Show progress during the block, which gets a function to call before each run."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        # Its thread must not take much from what is being measured.
        refresh_per_second=2,
    )
    with bar:
        task = bar.add_task("", total=runs)
        begun = 0

        def on_run(run: Run) -> None:
            nonlocal begun
            words = f"round {run.round + 1}  {run.workload.name}  {run.server.name}"
            bar.update(task, description=words, completed=begun)
            if not console.is_terminal:
                console.print(f"{begun + 1}/{runs}  {words}")
            begun += 1

        yield on_run
        bar.update(task, description="", completed=runs)
