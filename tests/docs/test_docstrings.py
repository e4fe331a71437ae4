"""The docstrings of all public names say what a reader of the reference looks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import pytest

from tests.docs.test_reference import left_out, public_names

SECTION: Final = r"^{}:\n((?:    .*\n|\n)*)"
ENTRY: Final = re.compile(r"^    [*]*(\w+): ", re.MULTILINE)

Function = Callable[..., Any]


def section(thing: object, name: str) -> str:
    """Return a section of a docstring, or nothing."""
    text = f"{inspect.getdoc(thing)}\n"
    found = re.search(SECTION.format(name), text, re.MULTILINE)
    return found[1] if found else ""


def functions() -> Iterator[tuple[str, Function]]:
    """Yield each public function and method by its name."""
    for name, thing in public_names().items():
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for own, member in vars(thing).items():
                function = getattr(member, "__func__", member)
                is_public = own[0] != "_" and own not in left_out().get(name, ())
                if is_public and inspect.isfunction(function):
                    yield f"{name}.{own}", function


def is_async(function: Function) -> bool:
    """Say whether it is awaited, or gives an async context manager."""
    inner = inspect.unwrap(function)
    returned = str(inspect.signature(function).return_annotation)
    return (
        inspect.iscoroutinefunction(inner)
        or inspect.isasyncgenfunction(inner)
        or returned.startswith("Coroutine")
    )


FUNCTIONS: Final = dict(functions())
RECORDS: Final = {
    name: thing
    for name, thing in public_names().items()
    if inspect.isclass(thing) and attrs.has(thing)
}


@pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if is_async(f)])
def test_what_is_awaited_says_what_cancellation_does(name: str) -> None:
    """In a section of its own."""
    assert section(FUNCTIONS[name], "Cancellation").strip()


@pytest.mark.parametrize(
    "name", [n for n, f in FUNCTIONS.items() if section(f, "Args")]
)
def test_every_argument_is_described_and_no_other(name: str) -> None:
    """Where arguments are described at all."""
    function = FUNCTIONS[name]
    parameters = list(inspect.signature(function).parameters)
    described = ENTRY.findall(section(function, "Args"))
    assert described == [each for each in parameters if each not in {"self", "cls"}]


@pytest.mark.parametrize("name", RECORDS)
def test_every_argument_of_a_record_is_described(name: str) -> None:
    """In the docstring of its own class, or of the one that it is inherited from."""
    described = {
        field
        for base in RECORDS[name].__mro__
        for title in ("Args", "Attributes")
        for field in ENTRY.findall(section(base, title))
    }
    assert set(inspect.signature(RECORDS[name]).parameters) <= described
