"""Pages of the repository as pages of the site, with links that lead there.

A page links to another as files do: `../how-to/server.md#limits`, `../../SECURITY.md`,
`../../examples/rpc.py`. On the site each page of docs/ has its place, and one from
elsewhere is where a stub includes it, with the parser of this module::

    .. include:: ../../SECURITY.md
       :parser: repository_pages

Links are rewritten for these places before the text is parsed. What is no page becomes
`source:examples/rpc.py`, which `source_pages` makes a page of.
"""

from __future__ import annotations

import os
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from myst_parser.parsers.sphinx_ import MystParser

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

DOCS: Final = Path(__file__).parents[1]
ROOT: Final = DOCS.parent

SHOWN_IN_PLACE: Final = {".svg", ".png"}

STUB: Final = re.compile(r"^\.\. include:: (\S+\.md)$", re.MULTILINE)

CODE_OR_LINK: Final = re.compile(
    r"^```.*?^```|(?P<ticks>`+)(?:(?!\n\n).)+?(?P=ticks)"
    r"|(?P<before>\]\(|\bsrc=\")(?P<target>[^)\s\"]+)",
    re.MULTILINE | re.DOTALL,
)

PICTURE: Final = re.compile(
    r"<picture>\s*(?:<source[^>]*>\s*)*(<img[^>]*>)\s*</picture>", re.DOTALL
)


@cache
def stubs() -> dict[Path, Path]:
    """Return the stub of each page that is outside docs/."""
    return {
        (stub.parent / target).resolve(): stub
        for stub in sorted(DOCS.rglob("*.rst"))
        for target in STUB.findall(stub.read_text("utf-8"))
    }


def on_the_site(text: str, path: Path) -> str:
    """Return a page of the repository with the links that it has on the site.

    A picture for dark screens, which HTML names for the repository's readers, is left
    out: `dark_pictures` finds it again.
    """
    text = CODE_OR_LINK.sub(partial(_relink, path), text)
    return PICTURE.sub(_only_the_image, text)


def _only_the_image(picture: re.Match[str]) -> str:
    # What is below keeps the number of its line.
    return picture[1] + "\n" * (picture[0].count("\n") - picture[1].count("\n"))


def _relink(path: Path, match: re.Match[str]) -> str:
    if match["target"] is None:
        return match[0]
    name, hash_, anchor = match["target"].partition("#")
    if not name or re.match(r"[a-z]+:", name):
        return match[0]
    target = (path.parent / name).resolve()
    place = stubs().get(target, target)
    if place.is_relative_to(DOCS) and place.suffix in {".md", ".rst", *SHOWN_IN_PLACE}:
        link = os.path.relpath(place, stubs().get(path, path).parent)
    elif target.suffix in SHOWN_IN_PLACE:
        link = os.path.relpath(target, stubs().get(path, path).parent)
    elif target.exists() and target.suffix != ".md":
        link = f"source:{target.relative_to(ROOT).as_posix()}"
    else:
        return match[0]  # the parser warns of it
    return f"{match['before']}{link}{hash_}{anchor}"


class Parser(MystParser):
    """Markdown, with links as they are in the repository."""

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse a page of docs/, or one that a stub includes."""
        path = Path(document["source"]).resolve()
        super().parse(on_the_site(inputstring, path), document)


def setup(app: Sphinx) -> dict[str, bool]:
    """Parse every page of Markdown this way."""
    app.setup_extension("myst_parser")
    app.add_source_parser(Parser, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
