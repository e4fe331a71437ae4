"""The figures as one still picture in SVG: a panel of bars for each workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks._figures import Figures
from benchmarks._workloads import BASELINE, Workload
from trio_tcp.cli._svg import svg

__all__ = ["chart"]

_COLUMNS: Final = 2
_PANEL: Final = 460
_MARGIN: Final = 20
_HEAD: Final = 74
_PANEL_HEAD: Final = 34
_ROW: Final = 20
_PANEL_GAP: Final = 26
_NAMES: Final = 150
_BARS: Final = 190
"""How long the longest bar or whisker is."""


def chart(table: Mapping[Workload, Sequence[Figures]]) -> str:
    """Return the picture of all workloads that have figures."""
    panels = [(workload, rows) for workload, rows in table.items() if rows]
    places, height = _places([len(rows) for _, rows in panels])
    width = 2 * _MARGIN + _COLUMNS * _PANEL
    words = ", ".join(workload.name for workload, _ in panels) or "nothing"
    lines = [*_legend()]
    for (workload, rows), (x, y) in zip(panels, places, strict=True):
        lines.append(f'<g transform="translate({x} {y})">')
        lines += _panel(workload, rows)
        lines.append("</g>")
    description = (
        f"Bars for each server under each workload: {words}. "
        "The same figures are in the tables of the report."
    )
    return svg("Benchmarks", description, (width, height), lines)


def _places(rows: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Return where panels with so many rows go, and how high all is.

    Each goes where the column is shortest.
    """
    ends = [_HEAD] * _COLUMNS
    places: list[tuple[int, int]] = []
    for count in rows:
        column = ends.index(min(ends))
        places.append((_MARGIN + column * _PANEL, ends[column]))
        ends[column] += _PANEL_HEAD + count * _ROW + _PANEL_GAP
    return places, max(ends)


def _legend() -> Iterator[str]:
    yield f'<g transform="translate({_MARGIN} 20)">'
    x = 0
    for style, words in (
        ("ours", "trio_tcp"),
        ("base", "plain Trio"),
        ("other", "others"),
    ):
        yield f'<rect class="{style}" x="{x}" y="0" width="12" height="12" rx="2"/>'
        yield f'<text x="{x + 18}" y="10">{words}</text>'
        x += 100
    yield (
        '<text class="soft" y="32">Bars: the median, per second of the server\'s CPU. '
        "Lines: the lowest to the highest round. "
        "The second number: the ratio to plain Trio.</text></g>"
    )


def _panel(workload: Workload, rows: Sequence[Figures]) -> Iterator[str]:
    longest = max(row.highest for row in rows) or 1.0
    unit = f"{workload.unit} per CPU second"
    if workload.less_is_better:
        unit = f"{workload.unit}: less is better"
    yield f'<text class="title" y="10">{escape(workload.name)}</text>'
    yield f'<text class="soft" x="60" y="10">{escape(unit)}</text>'
    yield f'<text class="soft" y="25">{escape(workload.title)}</text>'
    for number, row in enumerate(rows):
        yield f'<g transform="translate({_NAMES} {_PANEL_HEAD + number * _ROW})">'
        yield from _bar(row, _BARS / longest)
        yield "</g>"


def _bar(row: Figures, scale: float) -> Iterator[str]:
    length, low, high = (v * scale for v in (row.value, row.lowest, row.highest))
    words = number(row.value)
    if row.ratio is not None and row.server != BASELINE:
        words += f" · {row.ratio.median:.2f}"
    yield f'<text class="name" x="-8" y="12">{escape(row.server)}</text>'
    yield (
        f'<rect class="{_style(row.server)}" y="2" width="{length:.1f}" height="13" '
        'rx="2"/>'
    )
    yield (
        f'<path class="spread" d="M{low:.1f} 8.5H{high:.1f}'
        f'M{low:.1f} 5.5v6M{high:.1f} 5.5v6"/>'
    )
    yield f'<text class="soft" x="{high + 8:.1f}" y="12">{words}</text>'


def _style(server: str) -> str:
    if server.startswith("trio_tcp"):
        return "ours"
    return "base" if server == BASELINE else "other"


def number(value: float) -> str:
    """Write a figure with as many digits as mean something."""
    if value >= 100:  # noqa: PLR2004 - from here on the fraction is noise
        return f"{value:,.0f}"
    return f"{value:.3g}"
