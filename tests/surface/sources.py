"""The sources of the package, as griffe reads them: what is public, and what it uses.

Nothing is imported: annotations and defaults are those that are written, whichever
Python asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, TypeGuard

import griffe

import trio_tcp

__all__ = [
    "PACKAGES",
    "aliases_used_by",
    "exports",
    "final",
    "is_public",
    "names_in",
    "target_of",
]

PACKAGES: Final = (
    "trio_tcp",
    "trio_tcp.codecs",
    "trio_tcp.monitoring",
    "trio_tcp.testing",
    "trio_tcp.testing.faults",
)


@cache
def _sources() -> griffe.ModulesCollection:
    """Read the package that is imported, wherever it is installed."""
    loader = griffe.GriffeLoader(search_paths=[Path(trio_tcp.__path__[0]).parent])
    loader.load("trio_tcp")
    loader.resolve_aliases()
    return loader.modules_collection


def exports(package: str) -> dict[str, griffe.Object]:
    """Return what a package has in ``__all__``, by name, sorted."""
    module = _sources()[package]
    names = sorted(str(name) for name in module.exports or ())
    return {name: final(module[name]) for name in names}


@cache
def _public() -> set[str]:
    return {thing.path for name in PACKAGES for thing in exports(name).values()}


def is_public(thing: griffe.Object) -> bool:
    """Say if a thing has a public name, wherever it is written."""
    return thing.path in _public()


def final(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    """Return what a name means in the end, if others have imported it."""
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def names_in(*written: str | griffe.Expr | None) -> Iterator[griffe.ExprName]:
    """Iterate over the names in expressions."""
    for expression in written:
        if isinstance(expression, griffe.ExprName):
            yield expression
        elif isinstance(expression, griffe.Expr):
            names = expression.iterate()
            yield from (name for name in names if isinstance(name, griffe.ExprName))


def target_of(name: griffe.ExprName) -> griffe.Object | None:
    """Return what a name means, if that is something of the package."""
    path = name.canonical_path
    if not path.startswith("trio_tcp."):
        return None
    try:
        return final(_sources()[path])
    except KeyError:  # a variable of a type, that belongs to its class
        return None


def aliases_used_by(package: str) -> dict[str, griffe.Attribute]:
    """Return the types that a package's names use and that are not public, by name."""
    todo = list(exports(package).values())
    found: dict[str, griffe.Attribute] = {}
    while todo:
        for used in _used_by(todo.pop()):
            if used.name not in found:
                found[used.name] = used
                todo.append(used)
    return dict(sorted(found.items()))


def _used_by(thing: griffe.Object) -> Iterator[griffe.Attribute]:
    match thing:
        case griffe.Class():
            for name, member in thing.members.items():
                if not name.startswith("_"):
                    yield from _used_by(final(member))
            return
        case griffe.Function():
            written = [thing.returns, *(p.annotation for p in thing.parameters)]
        case griffe.Attribute():
            written = [thing.value if _is_alias(thing) else thing.annotation]
        case _:
            return
    for target in map(target_of, names_in(*written)):
        if target is not None and _is_alias(target) and not is_public(target):
            yield target


def _is_alias(thing: griffe.Object) -> TypeGuard[griffe.Attribute]:
    return isinstance(thing, griffe.Attribute) and str(thing.annotation) == "TypeAlias"
