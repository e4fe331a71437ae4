"""A terminal's screen as a picture that is light where the reader wants it light.

The colours are classes, and what they look like is in the style: the sixteen of a
terminal, on light paper and on dark. Any font of equal widths will do, since each piece
of text says how long it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

__all__ = ["terminal"]

WIDTH: Final = 8.43
"""Of a character, in pixels, at the size of the style."""
HEIGHT: Final = 16.0
"""Of a line: no more than that of a character, so that lines of tables join."""
MARGIN: Final = 14
HEAD: Final = 40
COLOURS: Final = 16
BRIGHT: Final = 8

LIGHT: Final = (
    ("#24292f", "#cf222e", "#116329", "#7d4e00", "#0550ae", "#8250df", "#1b7c83"),
    "#57606a",
)
DARK: Final = (
    ("#8b949e", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd"),
    "#e6edf3",
)
"""Black, red, green, yellow, blue, magenta, cyan; and white. The bright ones are the
same, with a grey for black."""

STYLE: Final = """
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre }}
.title {{ font: 600 13px system-ui, sans-serif; text-anchor: middle }}
.bold {{ font-weight: 700 }} .italic {{ font-style: italic }}
.underline {{ text-decoration: underline }}
{light}
@media (prefers-color-scheme: dark) {{
{dark}
}}
"""


def terminal(screen: str, *, title: str, description: str, columns: int) -> str:
    """Draw a screen.

    Args:
        screen: text, with the escape sequences that colour it.
        title: above it, as of a window.
        description: what is to be seen, for those who do not see it.
        columns: how wide it is.
    """
    console = Console(file=io.StringIO(), width=columns, color_system="standard")
    lines = Text.from_ansi(screen.rstrip("\n")).split("\n", allow_blank=True)
    width = columns * WIDTH + 2 * MARGIN
    height = HEAD + len(lines) * HEIGHT + MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}"'
    drawn = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img"',
        'aria-labelledby="title description"',
        f'viewBox="0 0 {width:.0f} {height:.0f}" {size}>',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE.format(light=_light(), dark=_dark())}</style>",
        '<rect class="frame" x="0.5" y="0.5" rx="8"',
        f'width="{width - 1:.0f}" height="{height - 1:.0f}"/>',
        f'<path class="rule" d="M1 {HEAD - 14}H{width - 1:.0f}"/>',
        f'<text class="title" x="{width / 2:.0f}" y="18">{escape(title)}</text>',
    ]
    for number, line in enumerate(lines):
        y = HEAD + (number + 0.75) * HEIGHT
        drawn += _line(y, line.render(console, end=""))
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _line(y: float, segments: Iterable[Segment]) -> Iterator[str]:
    column = 0
    for text, style, _ in segments:
        x, cells = MARGIN + column * WIDTH, cell_len(text)
        column += cells
        classes, ground = _classes(style or Style.null())
        if ground:
            yield (
                f'<rect class="{ground}" x="{x:.1f}" y="{y - 0.75 * HEIGHT:.1f}" '
                f'width="{cells * WIDTH:.1f}" height="{HEIGHT:.1f}"/>'
            )
        if text.strip():
            named = f" class={quoteattr(classes)}" if classes else ""
            yield (
                f'<text{named} x="{x:.1f}" y="{y:.1f}" '
                f'textLength="{cells * WIDTH:.1f}">{escape(text)}</text>'
            )


def _classes(style: Style) -> tuple[str, str]:
    """Return the classes of a text, and of what is behind it, if anything."""
    ink = _colour(style.color.number) if style.color else ""
    ground = _colour(style.bgcolor.number) if style.bgcolor else ""
    if style.reverse:
        ink, ground = ground or "paper", ink or "ink"
    names = [
        name
        for name, is_set in (
            (ink, ink),
            ("bold", style.bold),
            ("dim", style.dim and not ink),
            ("italic", style.italic),
            ("underline", style.underline),
        )
        if is_set
    ]
    return " ".join(names), ground


def _colour(number: int | None) -> str:
    """Name a colour of the sixteen; the terminal's own has no name."""
    if number is None:
        return ""
    assert number < COLOURS, "a colour that no theme has"
    return f"c{number % BRIGHT}" if number != BRIGHT else "dim"


def _light() -> str:
    return _rules(LIGHT, ink="#24292f", paper="#ffffff", dim="#656d76", line="#d0d7de")


def _dark() -> str:
    return _rules(DARK, ink="#e6edf3", paper="#161b22", dim="#8d96a0", line="#3d444d")


def _rules(
    colours: tuple[tuple[str, ...], str], *, ink: str, paper: str, dim: str, line: str
) -> str:
    named = [f".c{number} {{ fill: {c} }}" for number, c in enumerate(colours[0])]
    return " ".join(
        [
            f"text {{ fill: {ink} }} .ink {{ fill: {ink} }}",
            f".paper {{ fill: {paper} }} .dim {{ fill: {dim} }}",
            f".frame {{ fill: {paper}; stroke: {line} }} .rule {{ stroke: {line} }}",
            *named,
            f".c7 {{ fill: {colours[1]} }}",
        ]
    )
