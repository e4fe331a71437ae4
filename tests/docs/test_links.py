"""What the pages point to is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import PACKAGE, PAGES, ROOT, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:href|src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
NAMED = re.compile(r"<a id=\"([^\"]+)\">")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))


def links(page: Page) -> Iterator[str]:
    """Find what a page links to, pictures too; code is no link."""
    prose = re.sub(r"(?<!\[)`[^`\n]*`", "", page.prose)
    for match in LINK.finditer(prose):
        yield match[1] or match[2]


def anchors(page: Page) -> set[str]:
    """Return the anchors of a page: those of its headings, as GitHub makes them."""
    found, seen = set(NAMED.findall(page.prose)), Counter[str]()
    for heading in HEADING.findall(page.prose):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def installed(target: Path) -> Path:
    """Return where a file of the tree is, if the package is not in the tree."""
    package = ROOT / PACKAGE.name
    if target.is_relative_to(package):
        return PACKAGE / target.relative_to(package)
    if target.parent == ROOT and target.suffix == ".py":  # the plugin for pytest
        return PACKAGE.parent / target.name
    return target


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    """To a file or folder of this tree, and to an anchor if it names one."""
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        assert target.is_relative_to(ROOT), f"{page.name}: {link}"
        assert installed(target).exists(), f"{page.name}: {link}"
        if anchor:
            assert target.suffix == ".md", f"{page.name}: {link}"
            assert anchor in anchors(Page(target)), f"{page.name}: {link}"


@every_page
def test_every_reference_is_a_link(page: Page) -> None:
    """Links have their target beside them; there are no references to resolve."""
    assert not re.search(r"^\[[^\]]+\]:|\]\[", page.prose, re.MULTILINE)


@every_page
def test_every_picture_says_what_it_shows(page: Page) -> None:
    """To those who cannot see it: in a sentence, and not by a name."""
    told = re.findall(r"!\[([^\]]*)\]\(", page.prose)
    for tag in re.findall(r"<img[^>]*>", page.prose):
        told += re.findall(r'alt="([^"]*)"', tag) or [""]
    for words in told:
        assert len(words.split()) > 5, f"{page.name}: {words!r}"
        assert words.endswith("."), f"{page.name}: {words!r}"


def test_every_picture_is_on_a_page() -> None:
    """Those for dark pages too."""
    shown = {
        (page.path.parent / link).resolve() for page in PAGES for link in links(page)
    }
    docs = ROOT / "docs"
    assert shown >= {*docs.rglob("*.svg"), *docs.rglob("*.png")}


def test_every_page_can_be_reached_from_the_readme() -> None:
    """By following links."""
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path not in reached:
            reached.add(path)
            here = [link for link in links(Page(path)) if "://" not in link]
            names = (link.partition("#")[0] for link in here)
            found = [(path.parent / name).resolve() for name in names if name]
            todo += [target for target in found if target.suffix == ".md"]
    assert {page.path for page in PAGES} <= reached
