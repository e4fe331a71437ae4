"""What a worker is to serve, by its name: ``module:object``."""

from __future__ import annotations

import re
from typing import Final

from trio_tcp._kinds import check_kind

__all__ = ["check_target"]

TARGET: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def check_target(target: str) -> None:
    """Check that a name can be one of an object that another process can import.

    Raises:
        ValueError: it is none.
        TypeError: it is no text, such as the object itself.
    """
    check_kind("serve", target, str)
    if not TARGET.fullmatch(target):
        raise ValueError(f"what to serve is 'module:object', not {target!r}")
    if target.startswith("__main__:"):
        raise ValueError(
            f"a worker cannot import {target!r}: say the name by which other modules "
            "import it, such as 'service:serve' for service.py"
        )
