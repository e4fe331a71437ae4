"""The site, once built, stands alone: each link leads somewhere, nothing is fetched.

Sphinx checks what it resolves itself. This looks at the result, as a reader's browser
does: at raw HTML, at templates, at lines of source pages. Links to other hosts are for
clicking; a style, a script, a font or a picture from there is an error.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sphinx.application import Sphinx

LOGGER: Final = logging.getLogger(__name__)

TARGET: Final = re.compile(r'<(\w+)\s[^>]*?\b(?:href|src)="([^"]*)"')
ID: Final = re.compile(r'\sid="([^"]+)"')
FETCHED_BY_STYLE: Final = re.compile(r"@import|url\(\s*['\"]?(?:https?:)?//")
ELSEWHERE: Final = re.compile(r"(?:https?:)?//")


def problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a site."""
    ids = cache(_ids)
    for page in sorted(folder.rglob("*.html")):
        name = page.relative_to(folder)
        for tag, target in set(TARGET.findall(page.read_text("utf-8"))):
            if ELSEWHERE.match(target):
                if tag != "a":
                    yield f"{name}: <{tag}> fetches {target}"
            elif not _leads_somewhere(page, html.unescape(target), ids):
                yield f"{name}: {target} leads nowhere"
    for style in sorted(folder.rglob("*.css")):
        if FETCHED_BY_STYLE.search(style.read_text("utf-8")):
            yield f"{style.relative_to(folder)}: fetches something"


def _ids(page: Path) -> frozenset[str]:
    return frozenset(map(html.unescape, ID.findall(page.read_text("utf-8"))))


def _leads_somewhere(
    page: Path, target: str, ids: Callable[[Path], frozenset[str]]
) -> bool:
    if target.startswith(("data:", "mailto:")):
        return True
    name, _, anchor = re.sub(r"\?[^#]*", "", target).partition("#")
    path = (page.parent / unquote(name)).resolve() if name else page
    if not path.is_file():
        return False
    return not anchor or path.suffix != ".html" or unquote(anchor) in ids(path)


def check(app: Sphinx, error: Exception | None) -> None:
    """Warn of every problem, which fails the build."""
    if error is None and app.builder.name == "html":
        for problem in problems(Path(app.outdir)):
            LOGGER.warning(problem)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
