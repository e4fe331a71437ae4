"""The result as a picture: latency by percentile, and replies over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import Result
from trio_tcp.cli._bench._words import seconds_words
from trio_tcp.cli._svg import svg

__all__ = ["picture"]

WIDTH: Final = 860
HEIGHT: Final = 560
LEFT: Final = 90
PLOT_WIDTH: Final = WIDTH - LEFT - 40
PLOT_HEIGHT: Final = 170
TOPS: Final = (84, 340)
"""Where the two plots begin."""

NINES: Final = (0, 50, 90, 99, 99.9, 99.99, 99.999)
"""Percentiles with a mark. Each nine takes as much room as the one before, so that the
tail is seen."""

POINTS: Final = 200
GRID_LINES: Final = 4

ENDS: Final = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
"""Where a scale may end, times a power of ten."""

STYLE: Final = """
.line { fill: none; stroke-width: 2; stroke: #0969da }
.line.base { fill: none; stroke: #9a6700; stroke-dasharray: 5 3 }
.grid { stroke: #d1d9e0; fill: none } .middle { text-anchor: middle }
@media (prefers-color-scheme: dark) {
  .line { stroke: #4493f8 } .line.base { stroke: #d29922 } .grid { stroke: #3d444d }
}
"""

Point: TypeAlias = tuple[float, float]


def picture(result: Result, title: str) -> str:
    """Draw it as SVG, for light and dark paper, with a description in words.

    Args:
        result: what was measured.
        title: what it says above.
    """
    lines = [f'<text class="title" x="20" y="28">{escape(title)}</text>']
    latency, uncorrected = result.latency, result.uncorrected
    if latency.count:
        lines += _latency(latency, uncorrected)
        lines += _rate(result)
    else:
        lines.append('<text x="20" y="60">No reply came.</text>')
    return svg(title, _description(result), (WIDTH, HEIGHT), lines, style=STYLE)


def _description(result: Result) -> str:
    if not result.latency.count:
        return "No reply came."
    percentiles = result.latency.percentiles([50, 99, 99.9])
    median, p99, p999 = map(seconds_words, percentiles)
    return (
        f"Above, latency by percentile: {median} at 50 %, {p99} at 99 %, {p999} at "
        f"99.9 %, at most {seconds_words(result.latency.greatest)}. Below, replies per "
        f"second over time: {result.replies_per_second:,.0f} on average."
    )


# Latency ------------------------------------------------------------------------------


def _latency(latency: Histogram, uncorrected: Histogram | None) -> Iterator[str]:
    x, last = LEFT, _nines(_last_percent(latency.count))
    top = nice(latency.greatest)
    yield '<text class="soft" x="20" y="52">Latency by percentile</text>'
    if uncorrected is not None:
        yield from _legend(
            (("line", "from when it was due"), ("line base", "from when it was sent"))
        )
    yield from _grid(TOPS[0], [seconds_words(v) for v in _marks(top)])
    for percent in NINES:
        if (nines := _nines(percent)) <= last:
            at = x + nines / last * PLOT_WIDTH
            yield (
                f'<text class="soft middle" x="{at:.1f}" '
                f'y="{TOPS[0] + PLOT_HEIGHT + 18}">{percent:g} %</text>'
            )
    for style, histogram in (("line base", uncorrected), ("line", latency)):
        if histogram is not None:
            points = _curve(histogram, last, top)
            yield _path(style, TOPS[0], points)


def _last_percent(count: int) -> float:
    """Return the percentile beyond which there is one value."""
    return 100 - 100 / max(count, 10)


def _nines(percent: float) -> float:
    """Return where a percentile is: a nine further, one further."""
    return -math.log10(1 - percent / 100)


def _curve(histogram: Histogram, last: float, top: float) -> list[Point]:
    """Return points between 0 and 1, to the right and up."""
    places = [number / POINTS for number in range(POINTS + 1)]
    percents = [100 - 100 * 10 ** (-place * last) for place in places]
    values = histogram.percentiles(percents)
    return [(place, value / top) for place, value in zip(places, values, strict=True)]


# Over time ----------------------------------------------------------------------------


def _rate(result: Result) -> Iterator[str]:
    points: list[tuple[float, float]] = []
    begin = 0.0
    for stretch in result.over_time:
        rate = stretch.replies / (stretch.end - begin)
        points += [(begin, rate), (stretch.end, rate)]
        begin = stretch.end
    top = nice(max(rate for _, rate in points))
    yield '<text class="soft" x="20" y="308">Replies per second</text>'
    yield from _grid(TOPS[1], [_number(value) for value in _marks(top)])
    for number in range(GRID_LINES + 1):
        at = LEFT + number / GRID_LINES * PLOT_WIDTH
        words = seconds_words(begin * number / GRID_LINES) if number else "0"
        yield (
            f'<text class="soft middle" x="{at:.1f}" y="{TOPS[1] + PLOT_HEIGHT + 18}">'
            f"{words}</text>"
        )
    yield _path("line", TOPS[1], [(x / begin, rate / top) for x, rate in points])


# Both ---------------------------------------------------------------------------------


def nice(value: float) -> float:
    """Return where a scale ends that has room for this: a number that divides well."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(n * power for n in ENDS if n * power >= value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,g}"


def _marks(top: float) -> list[float]:
    return [top * number / GRID_LINES for number in range(GRID_LINES + 1)]


def _grid(top: int, words: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        y = top + PLOT_HEIGHT * (1 - number / GRID_LINES)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}h{PLOT_WIDTH}"/>'
        shown = word if number else "0"
        yield f'<text class="soft name" x="{LEFT - 8}" y="{y + 4:.1f}">{shown}</text>'


def _legend(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    x = LEFT + 130
    for style, words in entries:
        yield f'<path class="{style}" d="M{x} 48h24"/>'
        yield f'<text class="soft" x="{x + 32}" y="52">{words}</text>'
        x += 190


def _path(style: str, top: int, points: Sequence[Point]) -> str:
    places = (
        f"{LEFT + x * PLOT_WIDTH:.1f} {top + (1 - y) * PLOT_HEIGHT:.1f}"
        for x, y in points
    )
    return f'<path class="{style}" d="M{"L".join(places)}"/>'
