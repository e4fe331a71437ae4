"""The map of the code in CONTRIBUTING.md is true."""

from __future__ import annotations

import importlib
import re
import tomllib

import trio_tcp
from tests.docs.page import PACKAGE, ROOT

MAP = re.compile(r"^\| \[`([^`]+)`\]\(trio_tcp/\1\) \|", re.MULTILINE)


def on_the_map() -> list[str]:
    """Return the modules and packages that it names, in its order."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [name.removesuffix(".py").rstrip("/") for name in MAP.findall(text)]


def test_the_map_shows_every_module_once() -> None:
    """And none that does not exist."""
    modules = [
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__")
        or (path / "__init__.py").exists()
    ]
    assert sorted(on_the_map()) == sorted(modules)


def test_the_map_goes_from_the_bottom_to_the_top() -> None:
    """As the layers do, that import-linter holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers: list[str] = project["tool"]["importlinter"]["contracts"][0]["layers"]
    height = {
        name.strip(): -index
        for index, layer in enumerate(layers)
        for name in layer.split("|")
    }
    heights = [height[name] for name in on_the_map() if name in height]
    assert heights == sorted(heights)


def test_help_begins_with_names_that_there_are() -> None:
    """Each word of the first column of what ``help(trio_tcp)`` shows."""
    assert trio_tcp.__doc__ is not None
    table = trio_tcp.__doc__.partition("What there is, ")[2].partition("\n\n")[2]
    rows = table.partition("\n\n")[0].splitlines()
    names = [name for row in rows for name in row.strip().partition("  ")[0].split()]
    assert len(names) > len(rows) > 0
    for name in names:
        if name.startswith("trio_tcp."):
            importlib.import_module(name)
        else:
            assert name in trio_tcp.__all__
