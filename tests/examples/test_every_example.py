from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))
PACKAGES = sorted(path.parent for path in EXAMPLES.glob("*/__main__.py"))

every_file = pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
every_package = pytest.mark.parametrize(
    "path", PACKAGES, ids=[path.name for path in PACKAGES]
)


def docstring(path: Path) -> str:
    """Return the text that a file opens with."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


@every_file
def test_an_example_says_how_to_run_it(path: Path) -> None:
    """The text that an example opens with has its command line."""
    assert f"\n    python examples/{path.name}" in docstring(path)


@every_file
def test_an_example_is_tested(path: Path) -> None:
    """Each example has a file of tests beside this one."""
    assert (TESTS / f"test_{path.name}").exists()


@every_package
def test_an_example_in_parts_says_how_to_run_it(path: Path) -> None:
    """The text that its program opens with has its command line."""
    command = f"\n    python -m examples.{path.name}"
    assert command in docstring(path / "__main__.py")


@every_package
def test_an_example_in_parts_is_tested(path: Path) -> None:
    """Each has a folder of tests beside this file."""
    assert list((TESTS / path.name).glob("test_*.py"))
