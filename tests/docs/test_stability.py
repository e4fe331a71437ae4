"""The page about what stays says what the project's own files say."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tests.docs.page import ROOT, Page
from tests.surface.sources import PACKAGES

PAGE = Page(ROOT / "docs" / "reference" / "stability.md")
PROJECT: dict[str, Any] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["project"]


def row(name: str) -> str:
    """Return what a table has beside a name."""
    found = re.search(rf"^\| {name} \| (.*) \|$", PAGE.text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_versions_of_python_are_those_of_the_classifiers() -> None:
    classifier = "Programming Language :: Python :: "
    names = [text.removeprefix(classifier) for text in PROJECT["classifiers"]]
    versions = [name for name in names if re.fullmatch(r"3\.\d+", name)]
    assert row("Python") == f"{', '.join(versions)} (CPython)"
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_the_dependencies_and_their_bounds_are_those_that_are_installed() -> None:
    rows = {"trio": row("Trio"), "attrs": row("attrs")}
    bounds = [requirement.split(">=") for requirement in PROJECT["dependencies"]]
    assert rows == {name: f"{lowest} and later" for name, lowest in bounds}


def test_the_public_packages_are_all_named() -> None:
    assert set(re.findall(r"`(trio_tcp[.\w]*)`", row("Names"))) == set(PACKAGES)


def test_the_version_to_depend_on_is_of_the_newest_minor_version() -> None:
    major, minor, _ = PROJECT["version"].split(".")
    assert f"`trio-tcp ~= {major}.{minor}.0`" in PAGE.text


def test_the_changelog_has_this_version_and_room_for_the_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, newest, *_ = re.findall(r"^## \[(.+?)\](.*)$", text, re.MULTILINE)
    assert unreleased == ("Unreleased", "")
    assert newest[0] == PROJECT["version"]
    assert re.fullmatch(r" - \d{4}-\d\d-\d\d", newest[1])
