from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))
PROGRAMS = sorted(
    path
    for path in EXAMPLES.glob("*/*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)
PACKAGES = sorted({path.parent for path in PROGRAMS})

every_file = pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
every_program = pytest.mark.parametrize(
    "path", PROGRAMS, ids=[f"{path.parent.name}.{path.stem}" for path in PROGRAMS]
)
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


@every_program
def test_an_example_in_parts_says_how_to_run_it(path: Path) -> None:
    """The text that each of its programs opens with has its command line."""
    module = f"examples.{path.parent.name}.{path.stem}".removesuffix(".__main__")
    assert f"\n    python -m {module}" in docstring(path)


@every_package
def test_an_example_in_parts_is_tested(path: Path) -> None:
    """Each has a folder of tests beside this file."""
    assert list((TESTS / path.name).glob("test_*.py"))
