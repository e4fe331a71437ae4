"""The public names of a package as lines of text: what a reviewer of a change reads.

Annotations and defaults are shown as they are written; a default that is a constant of
the package by its value. Below the public names stand the types that they use and that
have no public name. Everything is by its full name, so that one line of a difference
says what it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import griffe

from tests.surface.sources import (
    aliases_used_by,
    exports,
    final,
    is_public,
    names_in,
    target_of,
)

__all__ = ["names_of"]

WIDTH: Final = 88
"""A signature that is longer has a line for each parameter."""

NOT_PROMISED: Final = {"__attrs_post_init__", "__repr__", "__str__"}
"""Special methods that may change."""

WITH_VALUES: Final = {"class-attribute", "module-attribute"}
"""What griffe calls that which has the value that is written, and no other."""

MARKS: Final = {
    griffe.ParameterKind.var_positional: "*",
    griffe.ParameterKind.var_keyword: "**",
}


def names_of(package: str) -> list[str]:
    """Return the lines of one public package, sorted by name."""
    lines: list[str] = []
    for name, thing in exports(package).items():
        lines += ["", *_lines_of(name, thing)]
    for name, alias in aliases_used_by(package).items():
        lines += ["", f"where {name} is {alias.value}"]
    return lines[1:]


def _lines_of(name: str, thing: griffe.Object) -> Iterator[str]:
    match thing:
        case griffe.Module():
            yield f"module {name}"
        case griffe.Function():
            yield from _function(name, thing)
        case griffe.Attribute():
            yield _attribute(name, thing)
        case griffe.Class():
            yield from _class(name, thing)
        case _:
            raise TypeError(f"{name} is a {thing.kind}")


def _class(name: str, thing: griffe.Class) -> Iterator[str]:
    yield from _decorators(thing)
    bases = ", ".join(map(str, thing.bases))
    yield f"class {name}({bases})" if bases else f"class {name}"
    members = {**_inherited(thing), **thing.members}
    for member_name in sorted(members):
        member = final(members[member_name])
        if member_name == "__init__" and isinstance(member, griffe.Function):
            if _is_for_users(member):
                yield from _signature(name, member)
        elif _is_member(member_name, member):
            yield from _lines_of(f"{name}.{member_name}", member)


def _inherited(thing: griffe.Class) -> dict[str, griffe.Object]:
    """Return what comes from bases that are not public themselves."""
    return {
        name: final(member)
        for base in reversed(thing.mro())
        if base.path.startswith("trio_tcp.") and not is_public(base)
        for name, member in base.members.items()
    }


def _is_member(name: str, thing: griffe.Object) -> bool:
    if name.startswith("__"):
        return isinstance(thing, griffe.Function) and name not in NOT_PROMISED
    if name.startswith("_"):  # a field may be an argument of the constructor
        return isinstance(thing, griffe.Attribute) and _is_argument(thing)
    return True


def _is_for_users(constructor: griffe.Function) -> bool:
    """Say if all that it takes is public: otherwise only the package calls it."""
    names = names_in(*(parameter.annotation for parameter in constructor.parameters))
    return not any(
        isinstance(target, griffe.Class) and not is_public(target)
        for target in map(target_of, names)
    )


def _is_argument(field: griffe.Attribute) -> bool:
    """Say if a private field of an attrs class is given when one is made."""
    made_by = cast("griffe.Class", field.parent)
    if "__init__" in made_by.members or "class-attribute" not in field.labels:
        return False
    return str(_options(field).get("init", "True")) == "True" and bool(_options(field))


def _attribute(name: str, thing: griffe.Attribute) -> str:
    kind = "property " if "property" in thing.labels else ""
    line = f"{kind}{name}"
    if thing.annotation is not None:
        line += f": {thing.annotation}"
    options = _options(thing)
    match options:
        case {"default": default}:
            line += f" = {_default(default)}"
        case {"factory": factory}:
            line += f" = {factory}()"
        case _ if thing.value and not options and thing.labels & WITH_VALUES:
            line += f" = {_default(thing.value)}"
        case _:
            pass
    for option in ("alias", "init", "kw_only"):
        if option in options:
            line += f"  ({option}={options[option]})"
    return line + ("  (may be set)" if "writable" in thing.labels else "")


def _options(thing: griffe.Attribute) -> dict[str, str | griffe.Expr]:
    """Return the arguments of ``attrs.field``, if that is what it is."""
    match thing.value:
        case griffe.ExprCall(function=function) if str(function) == "attrs.field":
            arguments = thing.value.arguments
        case _:
            return {}
    return {
        argument.name: argument.value
        for argument in arguments
        if isinstance(argument, griffe.ExprKeyword)
    }


def _default(value: str | griffe.Expr) -> str:
    """Show a constant of the package by its value, which is what counts."""
    if isinstance(value, griffe.ExprName):
        target = target_of(value)
        if isinstance(target, griffe.Attribute) and target.value is not None:
            return str(target.value)
    return str(value)


def _function(name: str, thing: griffe.Function) -> Iterator[str]:
    parent = thing.parent
    overloads = parent.overloads.get(thing.name) if parent is not None else None
    for variant in overloads or [thing]:
        yield from _decorators(variant)
        yield from _signature(name, variant)


def _decorators(thing: griffe.Class | griffe.Function) -> Iterator[str]:
    for decorator in thing.decorators:
        yield f"@{decorator.value}"


def _signature(name: str, thing: griffe.Function) -> Iterator[str]:
    start = f"async def {name}(" if "async" in thing.labels else f"def {name}("
    end = f") -> {thing.returns}"
    parameters = list(_parameters(thing.parameters))
    whole = f"{start}{', '.join(parameters)}{end}"
    if len(whole) <= WIDTH:
        yield whole
    else:
        yield start
        yield from (f"    {parameter}," for parameter in parameters)
        yield end


def _parameters(parameters: griffe.Parameters) -> Iterator[str]:
    """Write each parameter, and the marks of those by position and by name only."""
    last: griffe.ParameterKind | None = None
    for parameter in parameters:
        kind = parameter.kind
        if last is griffe.ParameterKind.positional_only and kind is not last:
            yield "/"
        if kind is griffe.ParameterKind.keyword_only and last not in (
            kind,
            griffe.ParameterKind.var_positional,
        ):
            yield "*"
        last = kind
        if parameter.name in ("self", "cls") and parameter.annotation is None:
            continue
        text = f"{MARKS.get(kind, '') if kind else ''}{parameter.name}"
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and kind not in MARKS:
            text += f" = {_default(parameter.default)}"
        yield text
    if last is griffe.ParameterKind.positional_only:
        yield "/"
