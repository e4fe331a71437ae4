"""A property's docstring is a sentence, also if it has a colon.

Napoleon takes what is before a colon in its first line for a type. The annotation says
the type here: so an empty line is put first, in which there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BEFORE_NAPOLEON = 400
"""Handlers run in this order; Napoleon's has Sphinx's default, 500."""


def open_with_an_empty_line(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Keep a first line whole."""
    if what in {"attribute", "data", "property"}:
        lines.insert(0, "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.connect("autodoc-process-docstring", open_with_an_empty_line, BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
