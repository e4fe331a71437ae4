"""The index of the how-to pages has every page, and every question of the README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HOW_TO = ROOT / "docs" / "how-to"
INDEX = HOW_TO / "index.md"
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]+)?\)")
ROW = re.compile(r"^\| .*$", re.MULTILINE)


def targets(page: Path, text: str) -> set[tuple[Path, str]]:
    """Return where the links in a text of a page lead to: files and anchors."""
    return {
        ((page.parent / name).resolve(), anchor)
        for name, anchor in LINK.findall(text)
        if not name.startswith("https:")
    }


IN_THE_INDEX = targets(INDEX, INDEX.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(path.name for path in HOW_TO.glob("*.md")))
def test_every_page_is_in_the_index(name: str) -> None:
    """So that who scans it finds the page."""
    assert name == INDEX.name or (HOW_TO / name) in {path for path, _ in IN_THE_INDEX}


def test_every_question_of_the_readme_is_in_the_index() -> None:
    """Each row of its table: the index leads to the same place of the same page."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    table = text[text.index("| Question |") :].partition("\n\n")[0]
    for row in ROW.findall(table)[2:]:
        assert targets(readme, row) <= IN_THE_INDEX, row
