from __future__ import annotations

import pytest

from trio_tcp.cli._proxy._typing import TypedLine


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        (b"list\nend 1\n", ["list", "end 1"]),
        (b"lisr\x7ft\n", ["list"]),
        (b"nonsense\x15list\n", ["list"]),
        (b"li\x1b[Ast\x1b[3~\n", ["list"]),
        ("grüße\n".encode(), ["grüße"]),
        (b"\xff\n", ["\N{REPLACEMENT CHARACTER}"]),
        (b"\x04", ["quit"]),
        (b"li\x04st\n", ["list"]),
        (b"\x07\x00list\r", ["list"]),
        (b"x" * 5000 + b"\n", ["x" * 4096]),
    ],
)
def test_keys_become_lines_however_they_are_cut(typed: bytes, lines: list[str]) -> None:
    assert list(TypedLine().feed(typed)) == lines
    line = TypedLine()
    assert [text for byte in typed for text in line.feed(bytes([byte]))] == lines


def test_what_is_not_finished_can_be_seen() -> None:
    line = TypedLine()
    assert list(line.feed(b"list\nen")) == ["list"]
    assert line.text == "en"
