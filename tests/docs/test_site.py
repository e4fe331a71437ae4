"""The site has each page, in one place of its navigation; `make docs` does the rest."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.page import ROOT

DOCS: Final = ROOT / "docs"
FRONT: Final = "index"

TOCTREE: Final = re.compile(r"^\.\. toctree::\n((?:   .*\n|\n)+)", re.MULTILINE)
TITLED: Final = re.compile(r".+ <(.+)>")
INCLUDED: Final = re.compile(r"^\.\. include:: (\S+)$", re.MULTILINE)

PAGES_BY_NAME: Final = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path
    for suffix in ("md", "rst")
    for path in sorted(DOCS.rglob(f"*.{suffix}"))
}


def entries(path: Path) -> list[str]:
    """Return the pages that a page has below it, as its toctrees name them."""
    found = list[str]()
    for body in TOCTREE.findall(path.read_text(encoding="utf-8")):
        for line in filter(None, map(str.strip, body.splitlines())):
            if not line.startswith(":"):
                titled = TITLED.fullmatch(line)
                found += matching(path.parent, titled[1] if titled else line)
    return found


def matching(folder: Path, entry: str) -> list[str]:
    """Return the pages that an entry means: that one, or those of a pattern."""
    place = (folder / entry).resolve().relative_to(DOCS).as_posix()
    if "*" not in entry:
        return [place]
    return [name for name in PAGES_BY_NAME if Path(name).match(place)]


@cache
def settings() -> dict[str, Any]:
    """Return those of conf.py that are literals; Sphinx need not be installed."""
    module = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    found = dict[str, Any]()
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            name = ast.unparse(statement.targets[0])
            try:
                found[name] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    """Below another page, and so below the front page."""
    placed = Counter(
        entry for path in PAGES_BY_NAME.values() for entry in entries(path)
    )
    assert placed == Counter(set(PAGES_BY_NAME) - {FRONT})


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
)
def test_a_page_from_outside_is_on_the_site_once(name: str) -> None:
    """A page of docs/ includes it."""
    included = [
        (path.parent / target).resolve()
        for path in PAGES_BY_NAME.values()
        if path.suffix == ".rst"
        for target in INCLUDED.findall(path.read_text(encoding="utf-8"))
    ]
    assert included.count(ROOT / name) == 1


def test_every_extension_of_ours_is_used() -> None:
    """None lies about."""
    ours = {path.stem for path in (DOCS / "_extensions").glob("*.py")}
    assert ours
    assert ours <= set(settings()["extensions"])


def test_every_file_that_the_site_is_given_exists() -> None:
    """Styles are in a folder of static files."""
    [static] = settings()["html_static_path"]
    assert settings()["html_css_files"]
    for name in settings()["html_css_files"]:
        assert (DOCS / static / name).is_file()
