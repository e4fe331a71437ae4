"""Who does what the tutorial says sees what the tutorial shows; see tutorial.py."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import Page
from tests.docs.tutorial import STEPS, TUTORIAL, Reader, reading

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def reader(tmp_path: Path) -> Generator[Reader]:
    """Give a reader whose port stays reserved until the test ends; see test_code.py."""
    folder = tmp_path / "boxoffice"
    folder.mkdir()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        if sys.platform != "linux":
            sock.close()
        with reading(folder, port) as reader:
            yield reader


def page(folder: Path, text: str) -> Page:
    """Write a page."""
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return Page(path)


@pytest.mark.parametrize(
    "step", range(len(STEPS)), ids=[step.path.name for step in STEPS]
)
def test_a_reader_sees_what_a_step_says(reader: Reader, step: int) -> None:
    """With the files of the steps before; and its pictures are those that are drawn."""
    reader.catch_up(STEPS[:step])
    reader.follow(STEPS[step])
    drawn = {picture.name: picture for picture in reader.folder.glob("*.svg")}
    shown = set(re.findall(r"\(([\w-]+\.svg)\)", STEPS[step].prose))
    assert drawn.keys() == shown
    for name, picture in drawn.items():
        written = (TUTORIAL / name).read_bytes()
        assert picture.read_bytes() == written, "draw it: python -m tests.docs"


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        ("one\ntwo\nthree\n", "on the page: 'three'; nothing more was printed"),
        ("one\nthree\n", "on the page: 'three'; printed: 'two'"),
        ("one\n", "printed, and not on the page: 'two'"),
        ("...\nthree\n", "on the page: 'three'; nothing more was printed"),
    ],
)
def test_a_page_that_shows_something_else_is_noticed(
    reader: Reader, tmp_path: Path, shown: str, complaint: str
) -> None:
    """A line too many, another line, a line too few."""
    text = f"```console\n$ printf 'one\\ntwo\\n'\n{shown}$\n```\n"
    with pytest.raises(AssertionError, match=f"page.md, below line 1: {complaint}"):
        reader.follow(page(tmp_path, text))


def test_a_change_of_lines_that_are_not_there_is_noticed(
    reader: Reader, tmp_path: Path
) -> None:
    """And so is one that could be made in two places."""
    text = "<!-- file: a -->\n```text\none\ntwo\none\n```\n"
    change = "<!-- file: a -->\n```diff\n-{}\n+three\n```\n"
    reader.follow(page(tmp_path, text + change.format("two")))
    assert (reader.folder / "a").read_text(encoding="utf-8") == "one\nthree\none\n"
    for line in ("two", "one"):
        with pytest.raises(AssertionError, match="once in a"):
            reader.follow(page(tmp_path, change.format(line)))


def test_a_page_that_shows_less_than_three_dots_stand_for_is_right(
    reader: Reader, tmp_path: Path
) -> None:
    """They stand for no line, too."""
    text = "```console\n$ printf 'one\\ntwo\\n'\n...\none\n...\ntwo\n...\n$\n```\n"
    reader.follow(page(tmp_path, text))
