"""Links to what Python, Trio and attrs document, by rule: no inventory is fetched.

Sphinx asks here for each reference that it cannot resolve. A site is then the same with
and without a network, and a name that no rule knows still fails the build.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Final

from docutils import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PYTHON: Final = "https://docs.python.org/3/library"
TRIO: Final = "https://trio.readthedocs.io/en/stable"
ATTRS: Final = "https://www.attrs.org/en/stable/api.html"

TRIO_PAGES: Final[Mapping[str, str]] = {
    "trio.lowlevel.": "reference-lowlevel",
    "trio.testing.": "reference-testing",
    "trio.socket.": "reference-io",
    "trio.abc.Instrument": "reference-lowlevel",
    "trio.abc.Clock": "reference-testing",
    "trio.abc.Channel": "reference-core",
    "trio.abc.ReceiveChannel": "reference-core",
    "trio.abc.SendChannel": "reference-core",
    "trio.abc.": "reference-io",
    "trio.Socket": "reference-io",
    "trio.SSL": "reference-io",
    "trio.Stapled": "reference-io",
    "trio.Path": "reference-io",
    "trio.Process": "reference-io",
    "trio.run_process": "reference-io",
    "trio.open_tcp_": "reference-io",
    "trio.open_ssl_": "reference-io",
    "trio.open_unix_": "reference-io",
    "trio.open_signal_receiver": "reference-io",
    "trio.serve_": "reference-io",
    "trio.": "reference-core",
}
"""The page of each name of Trio: that of the first beginning that fits."""


def url_of(name: str) -> str | None:
    """Return where another project documents a dotted name, if a rule says so."""
    top = name.partition(".")[0]
    if top == "builtins":
        return f"{PYTHON}/functions.html#{name.removeprefix('builtins.')}"
    if top in sys.stdlib_module_names:
        return f"{PYTHON}/{_module_of(name)}.html#{name}"
    if top == "trio":
        pages = (page for start, page in TRIO_PAGES.items() if name.startswith(start))
        return f"{TRIO}/{next(pages)}.html#{name}"
    if top == "attrs":
        return f"{ATTRS}#{name}"
    return None


def _module_of(name: str) -> str:
    """Return the longest part of a dotted name that is a module, which has a page."""
    parent = name.rpartition(".")[0]
    if not parent:
        return name
    try:
        is_module = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        is_module = False
    return name if is_module else _module_of(parent)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.reference | None:
    """Link a reference that has no target on the site."""
    if node.get("refdomain") != "py":
        return None
    url = url_of(node["reftarget"])
    if url is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=url)
    link += shown
    return link


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the rules."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
