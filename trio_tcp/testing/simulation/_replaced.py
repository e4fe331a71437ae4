"""Names of a module, or of a class, that mean something else for a while."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["replaced"]


@contextmanager
def replaced(owner: object, **values: object) -> Generator[None, None, None]:
    """Give attributes of an object other values, and their own ones back at the end."""
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
