"""Each class and function of the package by the name that users import it by.

Annotations say where a thing is defined, `trio_tcp._connection.Connection`; the
reference describes it as `trio_tcp.Connection`. A type variable is described nowhere:
it is shown, and links to nothing.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, TypeVarTuple

from sphinx.domains.python import PythonDomain

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PACKAGE: Final = "trio_tcp"
MODULES: Final = (
    "trio_tcp",
    "trio_tcp.codecs",
    "trio_tcp.monitoring",
    "trio_tcp.testing",
    "trio_tcp.testing.faults",
    "trio_tcp.testing.proxy",
)
"""Those that users import from; where two have a name, it is the first one's."""


@cache
def public_names() -> dict[str, str]:
    """Return the public name of each place where something public is defined."""
    found: dict[str, str] = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            thing = getattr(module, name)
            place = getattr(thing, "__module__", None), getattr(thing, "__name__", name)
            found.setdefault(".".join(map(str, place)), f"{module.__name__}.{name}")
    return found


@cache
def type_variables() -> frozenset[str]:
    """Return the names of those of the package."""
    kinds = (TypeVar, ParamSpec, TypeVarTuple)
    modules = [m for name, m in sys.modules.items() if name.startswith(PACKAGE)]
    return frozenset(
        name
        for module in modules
        for name, value in list(vars(module).items())
        if isinstance(value, kinds)
    )


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: TextElement
) -> Element | None:
    """Resolve a reference to where a thing is defined, or to a type variable."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    public = public_names().get(target)
    if public is not None and public != target:
        domain = env.domains.python_domain
        assert isinstance(domain, PythonDomain)
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, node["reftype"], public, node, shown
        )
    is_ours = target.startswith(f"{PACKAGE}.") or "." not in target
    if is_ours and target.rpartition(".")[2] in type_variables():
        return shown
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the rules."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
