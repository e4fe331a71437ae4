"""Inline code that is a public name leads to it in the reference.

`respond`, `codecs.Lines`, `Limits(max_connections=10)`: exactly the name, perhaps
called, or with the module that has it. `connection.send` is a method of the class whose
name it has in small letters. Headings, and what is a link already, stay as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from docutils import nodes
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sphinx.application import Sphinx

PACKAGE: Final = "trio_tcp"
NAME: Final = re.compile(r"@?((?:\w+\.)*\w+)(?:\(.*\))?", re.DOTALL)


def names_in_prose(full_names: Mapping[str, str]) -> dict[str, str]:
    """Return what prose calls each name of the reference, given its kind there."""
    found: dict[str, str] = {}
    for full, kind in full_names.items():
        parts = full.split(".")
        if parts[0] != PACKAGE or kind == "module":
            continue
        found[full] = full
        found.setdefault(".".join(parts[1:]), full)
        if kind in {"method", "property", "attribute"}:
            *_, owner, name = parts
            found.setdefault(f"{owner}.{name}", full)
            found.setdefault(f"{owner.lower()}.{name}", full)
        else:
            found.setdefault(parts[-1], full)
    return found


def link_names(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Put a link around the names on a page."""
    objects = app.env.domains.python_domain.objects
    known = names_in_prose({name: entry.objtype for name, entry in objects.items()})
    for code in list(document.findall(nodes.literal)):
        match = NAME.fullmatch(code.astext())
        full = known.get(match[1]) if match else None
        if full is None or _is_linked(code):
            continue
        entry = objects[full]
        link = make_refnode(
            app.builder, docname, entry.docname, entry.node_id, code.deepcopy(), full
        )
        code.replace_self(link)


def _is_linked(node: nodes.Node | None) -> bool:
    while node is not None:
        if isinstance(node, nodes.reference | nodes.title):
            return True
        node = node.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
