"""How a fault is spelled for people: as they would write it."""

from __future__ import annotations

from typing import cast

import attrs

__all__ = ["as_written"]


def as_written(fault: attrs.AttrsInstance) -> str:
    """Spell a fault as a call, without what goes without saying.

    A number that can stand without its name is told also where it is the default: it
    is what the fault is about.
    """
    words: list[str] = []
    for field in attrs.fields(type(fault)):
        value: object = getattr(fault, field.name)
        if field.kw_only and value != field.default:
            words.append(f"{field.name}={_spell(value)}")
        elif not field.kw_only and value not in {None, ()}:
            words.append(_spell(value))
    return f"{type(fault).__name__}({', '.join(words)})"


def _spell(value: object) -> str:
    if not isinstance(value, tuple):
        return repr(value)
    items = cast("tuple[object, ...]", value)  # given as a list, kept as a tuple
    return f"[{', '.join(map(_spell, items))}]"
