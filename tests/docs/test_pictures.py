"""The pictures are what their programs draw, and everybody can read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tests.docs.page import ROOT
from tests.docs.pictures.every import OF_PAGES, OF_RUNS, REPEATABLE

SVG: Final = "{http://www.w3.org/2000/svg}"
PICTURES: Final = sorted(
    [*(ROOT / "docs").rglob("*.svg"), ROOT / "benchmarks/report.svg"]
)

every_picture = pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)


def test_one_command_draws_all_of_them() -> None:
    """And none that is not there."""
    drawn = [
        *OF_PAGES,
        *REPEATABLE,
        *(name for names in OF_RUNS.values() for name in names),
    ]
    assert len(drawn) == len(set(drawn))
    docs = ROOT / "docs"
    found = [*docs.rglob("*.svg"), *docs.rglob("*.png")]
    assert {ROOT / name for name in drawn} == set(found)


@pytest.mark.parametrize("name", REPEATABLE)
def test_a_picture_is_what_its_program_draws(name: str) -> None:
    """Now, and not as the program, or a line of the package, once was."""
    drawn = REPEATABLE[name]()
    assert (ROOT / name).read_text("utf-8") == drawn, "draw it: make pictures"


@every_picture
def test_a_picture_is_told_to_those_who_do_not_see_it(path: Path) -> None:
    """It has a title and a description, and says that these are its."""
    root = ET.parse(path).getroot()
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert title.text
    assert description.text
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


@every_picture
def test_a_picture_is_light_or_dark_as_its_page(path: Path) -> None:
    """By its own style: what has a colour has it from there."""
    text = path.read_text("utf-8")
    assert "@media (prefers-color-scheme: dark)" in text
    assert not re.search(r'\b(?:fill|stroke)="#', text)


@every_picture
def test_a_picture_loads_nothing_from_elsewhere(path: Path) -> None:
    """No fonts, no images, no scripts."""
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|<script|<image", text)
