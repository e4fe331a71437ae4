"""Objects that users name, as ``package.module:object``."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

__all__ = ["NoSuchObjectError", "load"]


class NoSuchObjectError(ValueError):
    """Nothing has that name: no module, or nothing in it."""


def load(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """Import what ``module:object`` names; from the current directory, too.

    Args:
        name: of a module, with its packages; a colon; and of something in it, perhaps
            of something in that, with dots.

    Raises:
        NoSuchObjectError: there is no such module or object, or the name is none of the
            kind. An error out of the module itself leaves as it is.
    """
    module_name, colon, path = name.partition(":")
    if not (colon and module_name and path):
        raise NoSuchObjectError(f"{name!r} is not module:object, as in service:echo")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != module_name and not module_name.startswith(f"{missing}."):
            raise  # the module is there, and lacks another
        raise NoSuchObjectError(
            f"there is no module {missing!r}, neither installed nor in {here}"
        ) from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            close = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise NoSuchObjectError(f"{module_name} has no {path!r}{hint}") from error
    return found
