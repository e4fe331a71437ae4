"""The reference has every public name, once, and no other; its tree is the errors'."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from types import ModuleType
from typing import Final

import trio_tcp
from tests.docs.page import PACKAGE, ROOT

REFERENCE: Final = ROOT / "docs" / "reference"
DOCUMENTED: Final = re.compile(r"^\.\. auto\w+:: ([\w.]+)", re.MULTILINE)
EXCLUDED: Final = re.compile(
    r"^\.\. auto\w+:: (?P<name>[\w.]+).*\n"
    r"(?:   .*\n)*?   :exclude-members: (?P<members>.*)$",
    re.MULTILINE,
)
MODULES: Final = (
    "trio_tcp",
    "trio_tcp.codecs",
    "trio_tcp.monitoring",
    "trio_tcp.testing",
    "trio_tcp.testing.faults",
)


def documented() -> Counter[str]:
    """Return the names that the pages document, and how often each."""
    return Counter(
        name
        for path in REFERENCE.glob("*.rst")
        for name in DOCUMENTED.findall(path.read_text(encoding="utf-8"))
    )


def public_names() -> dict[str, object]:
    """Return every public name; of one with two homes, that where it is documented."""
    found: dict[str, object] = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                found[f"{module_name}.{name}"] = value
    del found["trio_tcp.testing.faults.Fault"]  # of trio_tcp.testing, which has it too
    return found


def test_every_public_name_has_its_place_in_the_reference() -> None:
    """One, and not two; and what has a place there is a public name."""
    pages = documented()
    assert set(pages) == set(public_names())
    assert [name for name, count in pages.items() if count > 1] == []


def test_no_other_module_is_public() -> None:
    """Each package without an underscore is among those that are looked at here."""
    package = PACKAGE
    public = {
        ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        for path in package.rglob("__init__.py")
        if not any(
            p.startswith("_") for p in path.parent.relative_to(PACKAGE.parent).parts
        )
    }
    inner = {"cli", "testing.network", "testing.proxy", "testing.simulation"}
    inner |= {"testing.traces"}  # their public names are those of testing
    assert public == set(MODULES) | {f"trio_tcp.{name}" for name in inner}


def test_every_page_is_in_the_table_of_contents() -> None:
    """That of the reference."""
    index = (REFERENCE / "index.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([\w-]+)$", index, re.MULTILINE)
    pages = {path.stem for path in REFERENCE.glob("*.rst")} - {"index"}
    assert sorted(listed) == sorted(pages)


def left_out() -> dict[str, set[str]]:
    """Return the members of classes that are not for users."""
    found = dict[str, set[str]]()
    for path in REFERENCE.glob("*.rst"):
        for match in EXCLUDED.finditer(path.read_text(encoding="utf-8")):
            found[match["name"]] = set(match["members"].split(", "))
    return found


def test_what_is_left_out_of_a_class_is_there() -> None:
    """Otherwise it has another name by now, and is not left out."""
    names = public_names()
    for name, members in left_out().items():
        for member in members:
            assert hasattr(names[name], member), f"{name}: {member}"


def tree(error: type, depth: int = 0) -> list[str]:
    """Return a line for an error and each below it, as the page has it."""
    line = "   " * depth + error.__name__
    lines = [" ".join([line, *(base_name(base) for base in error.__bases__[1:])])]
    for name in trio_tcp.__all__:
        child = getattr(trio_tcp, name)
        if inspect.isclass(child) and child.__bases__[0] is error:
            lines += tree(child, depth + 1)
    return lines


def base_name(base: type) -> str:
    """Return what a page calls a class of Python or Trio."""
    return base.__name__ if base.__module__ == "builtins" else f"trio.{base.__name__}"


def test_the_tree_of_errors_is_as_drawn() -> None:
    """With what each inherits from Trio and Python."""
    text = (REFERENCE / "errors.rst").read_text(encoding="utf-8")
    drawn = text.partition(".. parsed-literal::\n\n")[2].partition("\n\n")[0]
    lines = [
        line[3:].replace(":exc:`", "").replace("`", "") for line in drawn.splitlines()
    ]
    found = [re.sub(r"(?<=\S) +", " ", line).replace(",", "") for line in lines]
    assert found == tree(trio_tcp.TrioTcpError)
