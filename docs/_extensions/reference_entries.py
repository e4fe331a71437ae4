"""What autodoc shows of an entry of the reference, beyond its docstring.

Docstrings name things briefly: `receive` is `Connection.receive` everywhere, and the
name of another module's class needs no module before it. A constant or a type has its
text below it where it is defined. Of a class's bases, those that are public are named.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from public_names import MODULES, public_names
from sphinx.domains.python import PythonDomain
from sphinx.pycode import ModuleAnalyzer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

BEFORE_NAPOLEON: Final = 300
AFTER_NAPOLEON: Final = 700
BEFORE_OUTSIDE: Final = 400
"""A name that is ours is ours, also if Python has a module of that name."""


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: TextElement
) -> Element | None:
    """Resolve a name that is shorter than what it stands for."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    assert isinstance(domain, PythonDomain)
    for name in _candidates(node["reftarget"], node.get("py:class") or ""):
        if name in domain.objects:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", name, node, shown
            )
    return None


def _candidates(target: str, inside: str) -> Iterator[str]:
    """Yield what a name can stand for: a sibling, of a module, of a connection."""
    yield f"{inside}.{target}"
    for module in MODULES:
        yield f"{module}.{target}"
    yield f"trio_tcp.Connection.{target}"


def describe_data(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Give a constant or a type the text that it has where it is defined."""
    own = name.rpartition(".")[2]
    if what != "data":
        return
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("trio_tcp.") and vars(module).get(own) is thing:
            text = ModuleAnalyzer.for_module(module_name).find_attr_docs()
            if ("", own) in text:
                lines[:] = text["", own]


def name_public_bases(
    app: Sphinx, name: str, thing: type, options: object, bases: list[object]
) -> None:
    """Name the nearest that are public, in place of those that are not."""
    bases[:] = [_nearest_public(b) if isinstance(b, type) else b for b in bases]


def _nearest_public(base: type) -> type:
    for known in base.__mro__:
        place = f"{known.__module__}.{known.__qualname__}"
        if place in public_names() or not place.startswith("trio_tcp."):
            return known
    return base


def put_types_into_headings(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Show the type of a field beside its name: napoleon has it below its text."""
    heading = None
    for number, line in enumerate(lines):
        if line.startswith(".. attribute:: "):
            heading = number
        elif line.startswith("   :type: ") and heading is not None:
            del lines[number]
            lines.insert(heading + 1, line)


def leave_out(
    app: Sphinx, what: str, name: str, thing: object, skipped: bool, options: object
) -> bool | None:
    """Leave out what a named tuple says of its fields by itself."""
    text = getattr(thing, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.connect("missing-reference", resolve, BEFORE_OUTSIDE)
    app.connect("autodoc-process-docstring", describe_data, BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", put_types_into_headings, AFTER_NAPOLEON)
    app.connect("autodoc-process-bases", name_public_bases)
    app.connect("autodoc-skip-member", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
