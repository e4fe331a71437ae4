"""What a user has set, in the file and on the command line, before it means anything.

Both are one tree: tables of the file are sections, and an option of the command line
names a place in it. The tree knows where each of its values comes from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from trio_tcp.cli._serve._problems import ConfigurationError, Problem
from trio_tcp.cli._serve._toml_lines import KeyPath, lines_of_keys

__all__ = ["Given", "Settings", "read_settings"]

AT_LINE: Final = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$")
"""How `tomllib` ends what it says; it has no attribute for it before Python 3.14."""


@attrs.frozen
class Given:
    """A value from the command line.

    Attributes:
        path: its place in the tree.
        value: as if the file had it.
        option: as the user has written it; for a list, without its elements.
    """

    path: KeyPath
    value: object
    option: str


Tree: TypeAlias = dict[str, Any]


@attrs.frozen(kw_only=True)
class Settings:
    """The tree, and where its values come from.

    Attributes:
        tree: sections, and in them values.
        file: its name; empty if there is none.
    """

    tree: Tree
    file: str
    _lines: dict[KeyPath, int] = attrs.field(alias="lines")
    _options: dict[KeyPath, str] = attrs.field(alias="options")

    def problem(self, path: KeyPath, text: str) -> Problem:
        """Say what is wrong with the value at a place.

        Args:
            path: of a value, or of one that is missing.
            text: goes on after the name of the value.
        """
        for length in range(len(path), 0, -1):
            if option := self._options.get(path[:length]):
                return Problem("", 0, f"{option}: {text}")
            if line := self._lines.get(path[:length]):
                return Problem(self.file, line, f"{dotted(path)}: {text}")
        return Problem(self.file, 0, f"{dotted(path)}: {text}")


def dotted(path: KeyPath) -> str:
    """Write a path as TOML does, and indices of arrays in brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def read_settings(file: str | None, given: Sequence[Given]) -> Settings:
    """Read the file, and put over it what the command line says.

    Args:
        file: a path; None for no file.
        given: the command line. What it gives replaces what the file has at the same
            place; of two at the same place the last one counts.

    Raises:
        ConfigurationError: the file cannot be read, or is not TOML.
    """
    tree: Tree = {}
    lines: dict[KeyPath, int] = {}
    if file is not None:
        tree, lines = _read(file)
    options: dict[KeyPath, str] = {}
    for one in given:
        _put(tree, one)
        options[one.path], value = one.option, one.value
        if isinstance(value, list):
            for index, item in enumerate(cast("list[object]", value)):
                options[(*one.path, index)] = f"{one.option} {item}"
    return Settings(tree=tree, file=file or "", lines=lines, options=options)


def _read(file: str) -> tuple[Tree, dict[KeyPath, int]]:
    try:
        with open(file, encoding="utf-8", newline="") as opened:
            text = opened.read()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        wrong = "this is not UTF-8, as TOML is"
        raise ConfigurationError([Problem(file, line, wrong)]) from error
    except OSError as error:
        raise ConfigurationError([Problem(file, 0, str(error.strerror))]) from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = AT_LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        wrong = f"this is not TOML: {AT_LINE.sub('', str(error))}"
        raise ConfigurationError([Problem(file, line, wrong)]) from error
    return tree, lines_of_keys(text)


def _put(tree: Tree, one: Given) -> None:
    *sections, key = one.path
    for section in sections:
        if not isinstance(tree.get(str(section)), dict):
            tree[str(section)] = {}  # what the file has there instead gives way
        tree = cast("Tree", tree[str(section)])
    tree[str(key)] = one.value
