"""Bars along time, one row for each of those whom a picture is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

import attrs

from trio_tcp.cli._svg import svg

__all__ = ["Bar", "Mark", "Row", "timeline"]

PLOT: Final = 440
TOP: Final = 66
ROW: Final = 40
BAR: Final = 26
AFTER: Final = 8
"""Between a bar and the text behind it, in pixels."""
NAME_CHAR: Final = 7.6
NOTE_CHAR: Final = 7.0
"""How wide a character of a name, and of a note, is at most, in pixels."""

STYLE: Final = """
text { font-size: 13px } .soft { font-size: 12px }
.busy { fill: #54aeff } .quiet { fill: #b6e3ff } .new { fill: #4ac26b }
.starting { fill: #aceebb } .gone { fill: #ffcecb; stroke: #cf222e;
  stroke-dasharray: 5 3 } .base-line { fill: #d0d7de }
.on-bar { fill: #1f2328; font-size: 12px } .mark { stroke: #59636e; fill: none;
  stroke-dasharray: 2 4 } .middle { text-anchor: middle } .bad { stroke: #cf222e;
  stroke-width: 2.5; fill: none } .axis { stroke: #59636e; fill: none }
@media (prefers-color-scheme: dark) {
  .busy { fill: #388bfd } .quiet { fill: #1f4a7d } .new { fill: #2ea043 }
  .starting { fill: #1b5e31 } .gone { fill: #5d2425; stroke: #ff7b72 }
  .base-line { fill: #484f58 } .on-bar { fill: #f0f6fc }
  .mark { stroke: #9198a1 } .bad { stroke: #ff7b72 } .axis { stroke: #9198a1 }
}
"""


@attrs.frozen
class Bar:
    """From one time to another, in seconds.

    Attributes:
        kind: a class of `STYLE`: ``busy``, ``quiet``, ``new``, ``starting``, ``gone``.
        text: on it.
    """

    begin: float
    end: float
    kind: str
    text: str = ""


@attrs.frozen
class Row:
    """One of those whom it is about.

    Attributes:
        after: what is written behind the last bar.
        crossed: where something ended badly.
    """

    name: str
    bars: Sequence[Bar]
    after: str = ""
    crossed: float | None = None


@attrs.frozen
class Mark:
    """A line across all rows, with words above."""

    time: float
    text: str


def timeline(
    title: str,
    description: str,
    rows: Sequence[Row],
    marks: Sequence[Mark],
    *,
    seconds: float,
    ticks: Sequence[float],
) -> str:
    """Draw it.

    Args:
        title: for those who do not see it.
        description: likewise.
        rows: from top to bottom.
        marks: from left to right.
        seconds: how long it is.
        ticks: which seconds have a number, below.
    """
    left = 24 + max(len(row.name) for row in rows) * NAME_CHAR
    scale = PLOT / seconds
    ends = [
        max(bar.end for bar in row.bars) * scale + AFTER + len(row.after) * NOTE_CHAR
        for row in rows
    ]
    width = round(left + max(PLOT, *ends) + 20)
    bottom = TOP + len(rows) * ROW

    def lines() -> Iterator[str]:
        for mark in marks:
            x = left + mark.time * scale
            yield f'<path class="mark" d="M{x:.1f} {TOP - 22}V{bottom}"/>'
            yield f'<text class="middle" x="{x:.1f}" y="{TOP - 30}">{mark.text}</text>'
        for number, row in enumerate(rows):
            yield from _row(row, TOP + number * ROW, left, scale)
        yield f'<path class="axis" d="M{left:.1f} {bottom + 4}h{PLOT}"/>'
        for tick in ticks:
            x = left + tick * scale
            yield (
                f'<text class="soft middle" x="{x:.1f}" y="{bottom + 20}">{tick:g} s'
                "</text>"
            )

    return svg(title, description, (width, bottom + 34), lines(), style=STYLE)


def _row(row: Row, top: float, left: float, scale: float) -> Iterator[str]:
    base = top + BAR / 2 + 5
    yield f'<text class="name" x="{left - 12:.1f}" y="{base}">{escape(row.name)}</text>'
    for bar in row.bars:
        x, long = left + bar.begin * scale, (bar.end - bar.begin) * scale
        yield (
            f'<rect class="{bar.kind}" x="{x:.1f}" y="{top}" width="{long:.1f}" '
            f'height="{BAR}" rx="3"/>'
        )
        if bar.text:
            yield (
                f'<text class="on-bar middle" x="{x + long / 2:.1f}" y="{base}">'
                f"{escape(bar.text)}</text>"
            )
    end = left + max(bar.end for bar in row.bars) * scale
    if row.crossed is not None:
        x = left + row.crossed * scale
        yield f'<path class="bad" d="M{x:.1f} {top - 3}v{BAR + 6}"/>'
    x = end + AFTER
    yield f'<text class="soft" x="{x:.1f}" y="{base}">{escape(row.after)}</text>'
