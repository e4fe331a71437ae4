"""Signatures as users need them.

They have the values of defaults that have no public name, a default of our options as
it can be written (``Timeouts()``), and what a block is given or a call returns, not
that it comes by a generator or a coroutine.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ATTRS_DEFAULT: Final = re.compile(r"attr_dict\['(\w+)'\]\.default")
CONSTANT: Final = re.compile(r"(?<= = )[A-Z][A-Z_]+\b")
COROUTINE: Final = re.compile(r"~?(?:[\w.]+\.)?Coroutine\[.*?, .*?, (.*)\]")
GENERATOR: Final = re.compile(
    r"~?(?:[\w.]+\.)?(?:Async)?Generator\[(.*?), None(?:, None)?\]"
)


VARIANCE: Final = re.compile(r"\b(In|Out|T)_(?:co|contra)\b")


def rewrite(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: dict[str, Any],
    arguments: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Rewrite what autodoc has found."""
    options.pop("for", None)  # what decodes is a generator, and is not looped over
    if arguments:
        arguments = _with_defaults(arguments, thing)
    if returned and (coroutine := COROUTINE.fullmatch(returned)):
        options["async"] = None
        returned = coroutine[1]
    elif returned and (manager := GENERATOR.fullmatch(returned)):
        returned = manager[1]
    return _plain(arguments), _plain(returned)


def _plain(text: str | None) -> str | None:
    """Leave out of the name of a type variable what only a type checker asks for."""
    return text and VARIANCE.sub(r"\1", text)


def _with_defaults(arguments: str, thing: object) -> str:
    if inspect.isclass(thing) and attrs.has(thing):
        fields = attrs.fields_dict(thing)
        arguments = ATTRS_DEFAULT.sub(lambda m: _shown(fields[m[1]].default), arguments)
    names = _globals(thing)
    return CONSTANT.sub(lambda m: _shown(names.get(m[0], ...)), arguments)


def _globals(thing: object) -> Mapping[str, object]:
    """Return the names of the module that a class or function is of."""
    if inspect.isclass(thing):
        return vars(sys.modules[thing.__module__])
    function = inspect.unwrap(thing) if callable(thing) else thing
    return getattr(function, "__globals__", {})


def _shown(default: object) -> str:
    """Write a default as short as it can be called for."""
    kind = type(default)
    if attrs.has(kind):
        changed = [
            f"{field.name}={_shown(value)}"
            for field in attrs.fields(kind)
            if field.init and (value := getattr(default, field.name)) != field.default
        ]
        return f"{kind.__name__}({', '.join(changed)})"
    if default is ... or default is attrs.NOTHING or "<" in repr(default):
        return "..."
    return "math.inf" if default == math.inf else repr(default)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.connect("autodoc-process-signature", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
