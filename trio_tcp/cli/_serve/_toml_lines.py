"""On which line of a TOML file each key stands: `tomllib` does not tell.

It is asked all the same, about one statement after another: a statement is the fewest
lines that are a document by themselves, since one that is cut anywhere is none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, cast

__all__ = ["KeyPath", "lines_of_keys"]

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of tables, and indices of arrays."""


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Find where each key, and each element of an array, is given its value.

    What stands in an array or a table of several lines counts as on the first of them.
    A table that several lines give something to counts as on the first.

    Args:
        text: a document that `tomllib` accepts.

    Returns:
        Numbers of lines, from 1.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    found: dict[KeyPath, int] = {}
    last_index: dict[KeyPath, int] = {}  # of each array of tables, so far
    table: KeyPath = ()
    start = 0
    while start < len(lines):
        end, statement = _statement(lines, start)
        if lines[start].lstrip(" \t").startswith("["):
            table = _header(statement, last_index)
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], start + 1)
        else:
            for path in _paths(statement):
                found.setdefault(table + path, start + 1)
        start = end
    return found


def _statement(lines: list[str], start: int) -> tuple[int, dict[str, Any]]:
    """Return the line behind the statement that begins here, and what it says."""
    for end in range(start + 1, len(lines)):
        try:
            return end, tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue  # an array or a text that goes on
    return len(lines), tomllib.loads("\n".join(lines[start:]))


def _header(statement: dict[str, Any], last_index: dict[KeyPath, int]) -> KeyPath:
    """Return the table that ``[a.b]`` or ``[[a.b]]`` begins, or goes on with."""
    path: KeyPath = ()
    rest: dict[str, Any] = statement
    while rest:
        [(key, below)] = rest.items()
        path += (key,)
        if isinstance(below, list):  # [[…]], which begins another one
            last_index[path] = last_index.get(path, -1) + 1
            below = None
        rest = below or {}
        if path in last_index:
            path += (last_index[path],)
    return path


def _paths(value: object) -> Iterator[KeyPath]:
    """Iterate over the paths to all that is in a value."""
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        items = cast("dict[str | int, object]", value).items()
    elif isinstance(value, list):
        items = enumerate(cast("list[object]", value))
    for key, inner in items:
        yield (key,)
        for path in _paths(inner):
            yield (key, *path)
