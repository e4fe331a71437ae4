from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pydoc
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

import trio_tcp

ROOT = Path(__file__).parents[1]
PACKAGE = Path(trio_tcp.__path__[0])
MODULES = sorted(PACKAGE.rglob("*.py"))
PUBLIC = [
    "trio_tcp",
    "trio_tcp.codecs",
    "trio_tcp.monitoring",
    "trio_tcp.testing",
    "trio_tcp.testing.faults",
]
OPTIONAL = [
    "msgspec",
    "hypothesis",
    "rich",
    "click",
    "cattrs",
    "prompt_toolkit",
    "prometheus_client",
    "h11",
    "pytest",
    "pytest_trio",
]

every_module = pytest.mark.parametrize(
    "path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES]
)
every_public_package = pytest.mark.parametrize("package", PUBLIC)


@functools.cache
def attribute_docstrings() -> set[str]:
    """Find the names that stand at the top of a module with a docstring below."""
    found: set[str] = set()
    for path in MODULES:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in pairwise(statements):
            match statement, below:
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str())),
                ):
                    found.add(name)
                case _:
                    pass
    return found


def is_explained(name: str, value: object) -> bool:
    """Say if a name is documented: itself, or by its class if that is one of ours."""
    if (
        inspect.isclass(value)
        or inspect.isroutine(value)
        or inspect.ismodule(value)
        or type(value).__module__.startswith("trio_tcp")
    ):
        return bool(inspect.getdoc(value))
    return name in attribute_docstrings()


@every_module
def test_every_module_opens_by_saying_what_it_is(path: Path) -> None:
    """A module opens with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


LONGER = {
    # The one class that users have in their hands all the time; what it says about its
    # methods is their reference, with examples, and two fifths of the file.
    "_connection.py": 640,
    # Its two halves, through which each message goes: to call another module there
    # costs more than what is done.
    "_incoming.py": 580,
    "_outgoing.py": 580,
}


@every_module
def test_every_module_is_read_in_one_sitting(path: Path) -> None:
    """No module is longer than 400 lines, but for a named exception."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGER.get(path.name, 400)


@every_public_package
def test_every_public_name_is_found_and_explained(package: str) -> None:
    """A name in `__all__` can be imported from its package, and has a docstring."""
    for name in importlib.import_module(package).__all__:
        found = pydoc.locate(f"{package}.{name}")
        assert found is not None, f"{package}.{name} does not exist"
        assert is_explained(name, found), f"{package}.{name} has no docstring"


@every_public_package
def test_public_names_are_listed_once_each(package: str) -> None:
    """`__all__` has no name twice."""
    names = importlib.import_module(package).__all__
    assert len(names) == len(set(names))


@every_public_package
def test_nothing_is_public_by_accident(package: str) -> None:
    """A public package holds its `__all__`, its own subpackages, and no more."""
    module = importlib.import_module(package)
    leaked = [
        name
        for name, value in vars(module).items()
        if not name.startswith(("_", "@"))  # pytest's, where it rewrites asserts
        and name not in module.__all__
        and value is not sys.modules.get(f"{package}.{name}")
        and name != "annotations"  # what `from __future__ import` leaves behind
    ]
    assert not leaked


def test_the_package_imports_with_nothing_but_its_core_dependencies() -> None:
    """Extras and test tools are asked for only when they are used."""
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in OPTIONAL)
    imports = ", ".join([*PUBLIC, "trio_tcp.cli"])
    program = f"import sys; {blocked}; import {imports}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_core_depends_on_trio_and_attrs_alone() -> None:
    """Whatever else is wanted comes as an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [
        re.split(r"[^\w-]", requirement, maxsplit=1)[0]
        for requirement in project["project"]["dependencies"]
    ]
    assert sorted(names) == ["attrs", "trio"]
