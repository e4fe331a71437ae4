"""The pages of the documentation, taken apart into blocks.

How a block of Python is tested stands in a comment above it, which readers do not see::

    <!-- test: run -->
    ```python
    print("hello")
    ```

* ``define``: a part of every program further down on the same page, above it
* ``run``: a program
* ``server``: a program that serves until Ctrl-C
* ``client``: a program, while the last server above it is running
* ``pytest``: tests; those of a page make one file
* ``fails``: a test that fails, where the tests above it on the page pass

What a program prints is the ``text`` block directly below it, or nothing. The report
of a test that fails has the lines of the next ``text`` block, in their order. A picture
that a program writes is beside its page: ``python -m tests.docs`` writes it there.

Pages that a reader follows in an empty folder have other comments: see tutorial.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs

import trio_tcp

__all__ = ["PACKAGE", "PAGES", "ROOT", "Block", "Page"]

ROOT: Final = Path(__file__).parents[2]

PACKAGE: Final = Path(trio_tcp.__path__[0])
"""Wherever it is installed: in this tree, or elsewhere."""

FENCE: Final = re.compile(
    r"^(?:<!-- (?P<word>test|file|more|terminal): (?P<value>.*?) -->\n)?"
    r"```(?P<language>.*)\n(?P<code>(?:.*\n)*?)```\n",
    re.MULTILINE,
)


@attrs.frozen
class Block:
    """What stands between two lines of ``` on a page.

    Attributes:
        language: what the first of them says.
        said: what the comment above says, under its first word.
        line: where the code begins, counted from 0.
        is_below: whether nothing but an empty line is between it and the last block.
    """

    language: str
    said: dict[str, str]
    code: str
    line: int
    is_below: bool

    @property
    def kind(self) -> str:
        """How it is tested here, or nothing."""
        return self.said.get("test", "")


@attrs.frozen
class Page:
    """A file of Markdown."""

    path: Path

    @property
    def name(self) -> str:
        """Where it is in the tree."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """All that is not in a block."""
        return FENCE.sub("", self.text)

    @property
    def blocks(self) -> list[Block]:
        """Its blocks, from top to bottom."""
        text, blocks, end = self.text, list[Block](), 0
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start("code"))
            is_below = not text[end : match.start()].strip()
            end = match.end()
            said = {match["word"]: match["value"]} if match["word"] else {}
            blocks.append(Block(match["language"], said, match["code"], line, is_below))
        return blocks

    def program(self, *blocks: Block) -> str:
        """Join blocks, and what is defined above the last of them.

        The lines have the numbers that they have on the page, so that a traceback
        points there.
        """
        last = blocks[-1]
        lines = [""] * (last.line + last.code.count("\n"))
        for part in self.blocks:
            if part in blocks or (part.kind == "define" and part.line < last.line):
                code = part.code.splitlines()
                lines[part.line : part.line + len(code)] = code
        return "\n".join(lines) + "\n"

    def output(self, block: Block) -> str:
        """Return what the page says that a block prints."""
        blocks = self.blocks
        after = blocks[blocks.index(block) + 1 :]
        if after and after[0].language == "text" and after[0].is_below:
            return after[0].code
        return ""

    def text_below(self, block: Block) -> str:
        """Return the next block of text, with whatever prose before it."""
        below = self.blocks[self.blocks.index(block) + 1 :]
        return next(other.code for other in below if other.language == "text")

    @property
    def drawing(self) -> list[Block]:
        """Return the programs that write a picture."""
        return [b for b in self.blocks if b.kind == "run" and ".to_svg(" in b.code]

    def server_above(self, block: Block) -> Block:
        """Return the last server above a block."""
        above = self.blocks[: self.blocks.index(block)]
        return [other for other in above if other.kind == "server"][-1]


PAGES: Final = [
    Page(ROOT / "README.md"),
    Page(ROOT / "CONTRIBUTING.md"),
    Page(ROOT / "SECURITY.md"),
    *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md"))),
]
