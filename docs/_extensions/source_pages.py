"""Files of the repository that pages link to, as pages of the site, highlighted.

A link `source:examples/rpc.py` leads to such a page, `source:examples/deploy` to a list
of what is in a folder, and `[source]` in the reference to the line where a thing
begins. The site needs no forge beside it.
"""

from __future__ import annotations

import html
import importlib
import inspect
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment.adapters.toctree import global_toctree_for_doc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[2]
SCHEME: Final = "source:"
LINE: Final = "L"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return where a name of the reference is defined, for `sphinx.ext.linkcode`."""
    try:
        module = importlib.import_module(info["module"])
        thing: Any = reduce(getattr, info["fullname"].split("."), module)
        thing = thing.fget if isinstance(thing, property) else thing
        thing = inspect.unwrap(thing)
        file = Path(inspect.getsourcefile(thing) or "")
        line = inspect.getsourcelines(thing)[1]
    except (ImportError, AttributeError, TypeError, OSError):
        return None  # data: it does not know its place
    if not file.is_relative_to(ROOT):
        return None
    return f"{SCHEME}{file.relative_to(ROOT).as_posix()}#{LINE}-{line}"


def _links(document: nodes.document) -> Iterator[nodes.reference]:
    for link in document.findall(nodes.reference):
        if link.get("refuri", "").startswith(SCHEME):
            yield link


def _page_of(path: str) -> str:
    return f"source/{path}"


def lead_to_pages(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Give the links of a page their targets on the site."""
    for link in _links(document):
        path, hash_, line = link["refuri"].removeprefix(SCHEME).partition("#")
        target = app.builder.get_relative_uri(docname, _page_of(path))
        link["refuri"] = f"{target}{hash_}{line}"
        link["internal"] = True


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make a page for each file and folder that is linked to, and for what is in it."""
    found: set[str] = set()
    trees: dict[int, str] = {}
    for docname in app.env.found_docs:
        for link in _links(app.env.get_doctree(docname)):
            found.add(link["refuri"].removeprefix(SCHEME).partition("#")[0])
    todo = sorted(found)
    for name in todo:  # it grows
        path = ROOT / name
        if path.is_dir():
            below = [f"{name}/{child}" for child in _children(path)]
            todo += (child for child in below if child not in found)
            found.update(below)
            body = _list(app, name, below)
        elif _is_there(app, name):
            continue
        else:
            body = _highlight(app, path)
        title = html.escape(name)
        content = {
            "title": title,
            "body": f"<h1>{title}</h1>\n{body}",
            "toctree": partial(_navigation, app, _page_of(name), trees),
        }
        yield _page_of(name), content, "page.html"


def _navigation(
    app: Sphinx,
    page: str,
    trees: dict[int, str],
    **options: Any,  # noqa: ANN401 - as the theme calls it
) -> str:
    """Draw the tree of all pages, which takes longer than all else, once a depth.

    None of the source pages is in it: so two in folders of one depth have the same.
    """
    depth = page.count("/")
    if depth not in trees:
        builder = _html_builder(app)
        tree = global_toctree_for_doc(app.env, page, builder, tags=app.tags, **options)
        trees[depth] = builder.render_partial(tree)["fragment"]
    return trees[depth]


def _is_there(app: Sphinx, name: str) -> bool:
    """Whether an earlier build has made the page of a file that is still the same."""
    page = _html_builder(app).get_output_path(_page_of(name))
    source = ROOT / name
    return page.exists() and page.stat().st_mtime > source.stat().st_mtime


def _children(folder: Path) -> list[str]:
    paths = [p for p in folder.iterdir() if p.is_dir() or not _is_binary(p)]
    return sorted(p.name for p in paths if not p.name.startswith((".", "__pycache__")))


def _is_binary(path: Path) -> bool:
    return b"\0" in path.read_bytes()


def _list(app: Sphinx, name: str, paths: list[str]) -> str:
    items = []
    for path in paths:
        uri = app.builder.get_relative_uri(_page_of(name), _page_of(path))
        shown = html.escape(path.removeprefix(f"{name}/"))
        slash = "/" * (ROOT / path).is_dir()
        items.append(f'<li><a href="{html.escape(uri)}">{shown}{slash}</a></li>')
    return "\n".join(["<ul>", *items, "</ul>"])


def _highlight(app: Sphinx, path: Path) -> str:
    text = path.read_text("utf-8")
    try:
        language = get_lexer_for_filename(path.name).aliases[0]
    except ClassNotFound:
        language = "text"
    highlighted: str = _html_builder(app).highlighter.highlight_block(
        text, language, force=True, linenos="inline", lineanchors=LINE
    )
    return highlighted


def _html_builder(app: Sphinx) -> StandaloneHTMLBuilder:
    assert isinstance(app.builder, StandaloneHTMLBuilder)
    return app.builder


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the pages, and the links to them."""
    app.connect("doctree-resolved", lead_to_pages)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
