"""Pictures in SVG that can be read on light and on dark paper, and aloud."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["svg"]

# Colours by class and not by variables, which not every viewer of SVG knows.
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.paper { fill: #ffffff } .soft { fill: #59636e; font-size: 11px }
.title { font-weight: 600 } .name { text-anchor: end }
.ours { fill: #0969da } .base { fill: #9a6700 } .other { fill: #afb8c1 }
.spread { stroke: #1f2328; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .paper { fill: #161b22 } .soft { fill: #9198a1 }
  .ours { fill: #4493f8 } .base { fill: #d29922 } .other { fill: #57606a }
  .spread { stroke: #e6edf3 }
}
"""
"""Classes: ``paper``; texts ``soft``, ``title``, ``name`` (which ends where it stands);
what is shown, ``ours``, ``base``, ``other``; and lines over it, ``spread``."""


def svg(
    title: str,
    description: str,
    size: tuple[int, int],
    lines: Iterable[str],
    *,
    style: str = "",
) -> str:
    """Put a picture together.

    Args:
        title: what it is, read aloud.
        description: what is to be seen, for those who do not see it.
        size: width and height.
        lines: the elements of the picture.
        style: CSS, beside `STYLE`.
    """
    width, height = size
    return (
        "\n".join(
            [
                '<svg xmlns="http://www.w3.org/2000/svg" role="img"',
                'aria-labelledby="title description"',
                f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
                f'<title id="title">{escape(title)}</title>',
                f'<desc id="description">{escape(description)}</desc>',
                f"<style>{STYLE}{style}</style>",
                f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
                *lines,
                "</svg>",
            ]
        )
        + "\n"
    )
