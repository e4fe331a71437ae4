"""The result on a terminal: percentiles, a histogram, and what went wrong."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import PERCENTS, Result
from trio_tcp.cli._bench._words import (
    bytes_words,
    seconds_words,
    warnings_about,
)

__all__ = ["show"]

ROWS: Final = 12
"""Of the histogram."""

BAR: Final = 40
"""Columns of its longest bar."""

EIGHTHS: Final = " ▏▎▍▌▋▊▉"
"""Parts of a column, each an eighth wider."""


def show(result: Result, title: str, console: Console) -> None:
    """Print all of it."""
    console.print(Text(title, style="bold"))
    console.print(_summary(result))
    if result.latency.count:
        console.print(
            "", _percentiles(result), "", _histogram(result.latency), sep="\n"
        )
    if result.errors:
        console.print("", _errors(result), sep="\n")
    if warnings := warnings_about(result):
        console.print()
    for warning in warnings:
        console.print(Text(f"! {warning}", style="yellow"))


def _grid() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    return table


def _summary(result: Result) -> Table:
    table = _grid()
    what = "messages" if result.mode == "one-way" else "replies"
    seconds = result.seconds
    table.add_row(
        what, f"{result.replies:,}", f"{result.replies_per_second:,.0f} per second"
    )
    for name, count in (
        ("sent", result.bytes_sent),
        ("received", result.bytes_received),
    ):
        speed = bytes_words(count / seconds if seconds else 0)
        table.add_row(name, bytes_words(count), f"{speed}/s")
    busy = ", ".join(
        f"{cpu / seconds if seconds else 0:.0%}" for cpu in result.cpu_seconds
    )
    table.add_row(
        "measured for", seconds_words(seconds), f"this program: {busy} of a core"
    )
    return table


def _percentiles(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("percentile", justify="right")
    table.add_column("latency", justify="right", style="bold")
    columns = [result.latency.percentiles(PERCENTS)]
    if result.uncorrected is not None:
        table.add_column("from when it was sent", justify="right", style="dim")
        columns.append(result.uncorrected.percentiles(PERCENTS))
    for percent, *values in zip(PERCENTS, *columns, strict=True):
        table.add_row(f"{percent:g} %", *map(seconds_words, values))
    means = [result.latency.mean]
    if result.uncorrected is not None:
        means.append(result.uncorrected.mean)
    table.add_row("mean", *map(seconds_words, means))
    return table


def _histogram(latency: Histogram) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="dim")
    table.add_column(justify="right", style="dim")
    table.add_column(style="cyan", no_wrap=True)
    rows = latency.spread(ROWS)
    most = max(count for _, _, count in rows)
    for begin, end, count in rows:
        table.add_row(
            f"{seconds_words(begin)} to {seconds_words(end)}",
            f"{count:,}",
            bar(count / most),
        )
    return table


def bar(share: float) -> str:
    """Draw a share of the longest bar; whatever is not nothing is seen."""
    eighths = round(share * BAR * 8) or (share > 0)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (EIGHTHS[part] if part else "")


def _errors(result: Result) -> Table:
    table = _grid()
    for kind, count in result.errors.most_common():
        table.add_row(Text(kind, style="red"), f"{count:,}", "")
    return table
