"""Objects by name: ``module:object``."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from typing import Final

__all__ = ["check_target", "load"]

TARGET: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def check_target(target: str) -> None:
    """Check that a name can be one of an object that another process can import.

    Raises:
        ValueError: it is none.
    """
    if not TARGET.fullmatch(target):
        raise ValueError(f"what to serve is 'module:object', not {target!r}")
    if target.startswith("__main__:"):
        raise ValueError(
            f"a worker cannot import {target!r}: say the name by which other modules "
            "import it, such as 'service:serve' for service.py"
        )


def load(target: str) -> object:
    """Import an object.

    Raises:
        ImportError: there is no such module, or it has no such object.
        BaseException: what the module raises.
    """
    module_name, _, names = target.partition(":")
    module = importlib.import_module(module_name)
    try:
        return reduce(getattr, names.split("."), module)
    except AttributeError as error:
        raise ImportError(f"{target!r}: {error}") from error
