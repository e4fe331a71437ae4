"""The examples in docstrings: where they are, and how they are run.

A block is what is indented below a line that ends in ``::``. It is a program, or a
part of one: it may await, and it uses what the text around it speaks of. A test gives
that to it, and says by `runs` which examples it runs; `test_examples.py` finds those
that none runs.
"""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import math
import ssl
import struct
import sys
import textwrap
import zlib
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio
from hypothesis import strategies as st

import trio_tcp
from tests.docs.page import PACKAGE
from trio_tcp import codecs, monitoring, testing
from trio_tcp.testing import faults

__all__ = ["EXAMPLES", "NAMES", "OTHER_BLOCKS", "RUN", "Example", "echo", "runs"]

PORT: Final = "8888"


@attrs.frozen
class Example:
    """A block in a docstring.

    Attributes:
        name: of whose docstring it is.
        path: of the module.
        line: of the docstring, counted from 1.
        code: what it says.
    """

    name: str
    path: Path
    line: int
    code: str

    def compiled(self, changes: Mapping[str, str] = {}) -> Any:  # noqa: ANN401 - code
        """Compile it, with other texts for some of its own: a port, a path."""
        code = self.code
        for ours, others in changes.items():
            assert ours in code
            code = code.replace(ours, others)
        code = "\n" * (self.line - 1) + code
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return compile(code, self.path, "exec", flags=flags, dont_inherit=True)

    def define(self, **names: object) -> dict[str, Any]:
        """Run one that does not await, and return the names that it knows then."""
        known = {**NAMES, **names}
        assert eval(self.compiled(), known) is None
        return known

    async def run(
        self, changes: Mapping[str, str] = {}, **names: object
    ) -> dict[str, Any]:
        """Run it, and return the names that it knows then."""
        known = {**NAMES, **names}
        running: Coroutine[Any, Any, None] | None = eval(self.compiled(changes), known)
        if running is not None:
            await running
        return known


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every message."""
    async for message in connection:
        await connection.send(message)


NAMES: Final[Mapping[str, object]] = {
    **{name: getattr(testing, name) for name in testing.__all__},
    **{name: getattr(codecs, name) for name in codecs.__all__},
    **{name: getattr(monitoring, name) for name in monitoring.__all__},
    **{name: getattr(trio_tcp, name) for name in trio_tcp.__all__},
    "attrs": attrs,
    "codecs": codecs,
    "echo": echo,
    "faults": faults,
    "functools": functools,
    "logging": logging,
    "math": math,
    "monitoring": monitoring,
    "partial": functools.partial,
    "ssl": ssl,
    "st": st,
    "struct": struct,
    "sys": sys,
    "testing": testing,
    "trio": trio,
    "trio_tcp": trio_tcp,
    "zlib": zlib,
}
"""What every example may take for granted."""


def _blocks(docstring: str) -> Iterator[tuple[int, str]]:
    """Find the blocks of a docstring, and the lines where they begin, from 0."""
    lines = docstring.splitlines()
    for number, line in enumerate(lines):
        if line.endswith("::"):
            depth = _depth(line)
            end = number + 1
            while end < len(lines) and (not lines[end] or _depth(lines[end]) > depth):
                end += 1
            yield number + 1, textwrap.dedent("\n".join(lines[number + 1 : end]) + "\n")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _docstrings(path: Path) -> Iterator[tuple[str, int, str]]:
    """Find the docstrings of a module, whose they are, and in which line they begin."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    todo: list[tuple[str, ast.AST]] = [("", ast.parse(path.read_text("utf-8")))]
    while todo:
        name, node = todo.pop(0)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                todo.append((f"{name}.{child.name}".lstrip("."), child))
            elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                text = inspect.cleandoc(str(child.value.value))
                yield name or module.removesuffix(".__init__"), child.lineno, text


def _examples() -> dict[str, Example]:
    found = dict[str, Example]()
    for path in [
        *sorted(PACKAGE.rglob("*.py")),
        PACKAGE.parent / "pytest_trio_tcp.py",
    ]:
        for name, start, text in _docstrings(path):
            for line, code in _blocks(text):
                unique = name
                while unique in found:
                    unique += "'"
                found[unique] = Example(unique, path, start + line, code)
    return found


ALL_BLOCKS: Final = _examples()

OTHER_BLOCKS: Final = {
    "trio_tcp'",
    "trio_tcp''",
    "trio_tcp._redis._envelope",
    "trio_tcp.cli._connect._script",
    "trio_tcp.cli._proxy",
    "trio_tcp.cli._proxy._control",
    "trio_tcp.cli._proxy._plan_file",
    "trio_tcp.cli._serve",
    "trio_tcp.testing.network",
    "trio_tcp.testing.proxy._fault_proxy",
}
"""Those that are no Python: tables, drawings, files."""

EXAMPLES: Final = {
    name: example for name, example in ALL_BLOCKS.items() if name not in OTHER_BLOCKS
}
"""By the names of what they are an example of; one more in a docstring has a prime."""

RUN: Final = set[str]()
"""The names of those that some test runs."""


def runs(*names: str) -> pytest.MarkDecorator:
    """Give a test some examples, one after the other."""
    RUN.update(names)
    params = [pytest.param(EXAMPLES[name], id=name) for name in names]
    return pytest.mark.parametrize("example", params)
