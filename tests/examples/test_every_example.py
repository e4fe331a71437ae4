from __future__ import annotations

import ast
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))

every_example = pytest.mark.parametrize(
    "path", EXAMPLES, ids=[path.name for path in EXAMPLES]
)


@every_example
def test_an_example_says_how_to_run_it(path: Path) -> None:
    """The text that an example opens with has its command line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text is not None
    assert f"\n    python examples/{path.name}" in text


@every_example
def test_an_example_is_tested(path: Path) -> None:
    """Each example has a file of tests beside this one."""
    assert (Path(__file__).parent / f"test_{path.name}").exists()
