"""Which file beside this one holds which part of the surface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from tests.surface.around import command, figures, service_file, surroundings
from tests.surface.names import names_of
from tests.surface.sources import PACKAGES

__all__ = ["FILES", "path_of"]

FILES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    **{package: partial(names_of, package) for package in PACKAGES},
    "command": command,
    "service_file": service_file,
    "figures": figures,
    "surroundings": surroundings,
}
"""How each is made."""


def path_of(name: str) -> Path:
    """Return where a part is pinned."""
    return Path(__file__).with_name(f"{name}.txt")
