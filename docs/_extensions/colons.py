"""A colon in what a property is, or in what a function returns, is only a colon.

Napoleon takes what is before it for a type. Types are in the annotations here: so the
colons of such lines are hidden from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BEFORE_NAPOLEON: Final = 400
AFTER_NAPOLEON: Final = 600
"""Handlers run in the order of these; Napoleon's has Sphinx's default, 500."""

HIDDEN: Final = "\ue000"
"""From the area for private use: no docstring has it."""

SECTIONS: Final = ("Returns:", "Yields:")


def hide(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Hide the colons of the lines in which Napoleon looks for a type."""
    starts = [n for n, line in enumerate(lines, start=1) if line in SECTIONS]
    if what in {"attribute", "data", "property"}:
        starts.append(0)
    for start in starts:
        if start < len(lines):
            lines[start] = lines[start].replace(":", HIDDEN)


def show(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Bring them back."""
    lines[:] = [line.replace(HIDDEN, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.connect("autodoc-process-docstring", hide, BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", show, AFTER_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
