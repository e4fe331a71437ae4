from __future__ import annotations

import importlib
import inspect
import re
import struct
import textwrap
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import strategies as st

import trio_tcp
from trio_tcp import codecs
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MODULES = [
    importlib.import_module(f"trio_tcp.codecs.{path.stem}")
    for path in sorted(Path(codecs.__file__).parent.glob("_[a-z]*.py"))
]


class Person:
    """Looks like a class that protobuf has generated."""

    def __init__(self, name: bytes = b"") -> None:
        self.name = name

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return the bytes of the message."""
        return self.name

    @classmethod
    def FromString(cls, data: bytes) -> Person:  # noqa: N802 - protobuf's name
        """Read the bytes of a message."""
        return cls(data)


def docstrings(module: ModuleType) -> Iterator[str]:
    """Return the docstrings of a module, its classes and their methods."""
    yield inspect.getdoc(module) or ""
    for _, thing in inspect.getmembers(module):
        if getattr(thing, "__module__", None) == module.__name__:
            yield inspect.getdoc(thing) or ""
            if inspect.isclass(thing):
                for _, method in inspect.getmembers(thing, inspect.isfunction):
                    yield inspect.getdoc(method) or ""


def examples(text: str) -> Iterator[str]:
    """Return the literal blocks of a docstring, which are all Python."""
    for block in re.findall(r"::\n\n((?:(?:[ ]{4,}.*)?\n)+)", text + "\n"):
        yield textwrap.dedent(block)


def run(example: str) -> dict[str, Any]:
    """Run an example with the names that its page has."""
    names: dict[str, Any] = {name: getattr(codecs, name) for name in codecs.__all__}
    names |= {"codecs": codecs, "trio_tcp": trio_tcp, "attrs": attrs}
    names |= {"struct": struct, "zlib": zlib, "Person": Person}
    exec(example, names)
    return names


EXAMPLES = {
    f"{module.__name__.rpartition('.')[2]}-{number}": example
    for module in MODULES
    for number, example in enumerate(
        example for text in docstrings(module) for example in examples(text)
    )
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_examples_in_docstrings_are_true(example: str) -> None:
    """Each runs, and what it asserts holds."""
    run(example)


CODECS = [thing for name in codecs.__all__ if attrs.has(thing := getattr(codecs, name))]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: str(codec.__name__))
def test_every_codec_has_an_example_of_its_own(codec: type) -> None:
    """In its docstring, or in that of its module for the protocol."""
    assert any(f"{codec.__name__}" in example for example in EXAMPLES.values())


def test_the_codec_of_the_guide_keeps_the_promises_of_a_codec() -> None:
    """What the guide shows is good enough for use."""
    tlv = run(EXAMPLES["_codec-0"])["Tlv"]
    check_codec(tlv(), st.tuples(st.integers(0, 255), st.binary(max_size=100)))


def test_the_checksum_of_the_guide_keeps_the_promises_of_a_codec() -> None:
    """What the guide shows is good enough for use."""
    checked = run(EXAMPLES["_mapped-0"])["checked"]
    small = codecs.LengthPrefixed(2, max_bytes=100)
    check_codec(attrs.evolve(checked, framing=small), [b"", b"abc"])
