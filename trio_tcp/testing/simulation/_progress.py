"""How far a search through seeds has come, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(total: int) -> Generator[Callable[[int, int], None], None, None]:
    """Show a bar while the block runs: with rich installed, on a terminal.

    Yields:
        A function to call with how many more seeds were run, and how many of all
        failed so far.
    """
    if not sys.stderr.isatty():
        yield _show_nothing
        return
    try:
        import rich.console  # noqa: PLC0415 - an extra
        import rich.progress  # noqa: PLC0415 - likewise
    except ImportError:
        yield _show_nothing
        return
    bar = rich.progress.Progress(
        rich.progress.TextColumn("seeds"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[failed]} failed"),
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(stderr=True),
    )
    with bar:
        row = bar.add_task("", total=total, failed=0)

        def show(more: int, failed: int) -> None:
            bar.update(row, advance=more, failed=failed)

        yield show


def _show_nothing(_more: int, _failed: int) -> None:
    pass
