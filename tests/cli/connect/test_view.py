from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import MalformedMessageError
from trio_tcp.cli._connect._conversation import Direction, Entry
from trio_tcp.cli._connect._frames import Frame
from trio_tcp.cli._connect._hexdump import hexdump
from trio_tcp.cli._connect._view import MAX_TEXT, Timing, View


def shown(
    view: View,
    text: str = "hello",
    data: bytes = b"hello\n",
    *,
    direction: Direction = "received",
    since_request: float | None = 0.25,
    error: Exception | None = None,
) -> list[str]:
    """Return the lines of a message."""
    entry = Entry(
        direction=direction,
        time=0,
        seconds=1.5,
        since_request=since_request,
        text=text,
        notation="text",
        frame=Frame(data, error=error),
    )
    lines = view.lines(entry)
    return ["".join(fragment[1] for fragment in line) for line in lines]


@pytest.mark.parametrize(
    ("timing", "direction", "line"),
    [
        ("start", "received", "    1.500 s        6 B  < hello"),
        ("start", "sent", "    1.500 s        6 B  > hello"),
        ("request", "received", "+   0.250 s        6 B  < hello"),
        ("request", "sent", "                   6 B  > hello"),
        ("none", "received", "        6 B  < hello"),
    ],
)
def test_a_line_has_time_and_size_and_direction(
    timing: Timing, direction: Direction, line: str
) -> None:
    """Seconds from the start, or from the last request."""
    assert shown(View(timing), direction=direction) == [line]


def test_before_the_first_request_there_is_no_time_since_one() -> None:
    """A server that speaks first."""
    [line] = shown(View("request"), since_request=None)
    assert line == "                   6 B  < hello"


def test_a_dump_is_below_its_message() -> None:
    """If it is asked for."""
    lines = shown(View(dumps=True))
    assert lines[1:] == [
        "    00000000  68 65 6c 6c 6f 0a                                 |hello.|"
    ]


def test_what_was_no_message_is_dumped_unasked() -> None:
    """Its reason stands where the message would."""
    error = MalformedMessageError("bad")
    first, dump = shown(View(), "bad", error=error)
    assert first.endswith("< bad")
    assert "68 65 6c 6c 6f" in dump


def test_a_large_message_does_not_fill_the_terminal() -> None:
    """Neither its text nor its dump; both say how much is left out."""
    lines = shown(View(dumps=True), "x" * 100_000, b"x" * 100_000)
    assert len(lines[0]) < MAX_TEXT + 100
    assert lines[0].endswith(f"{100_000 - MAX_TEXT:,} characters more")
    assert len(lines) < 70
    assert lines[-1].endswith("98,976 bytes more")


@given(st.binary(max_size=200))
def test_a_dump_has_every_byte_at_its_offset(data: bytes) -> None:
    """And nothing that controls a terminal."""
    found = bytearray()
    for line in hexdump(data):
        assert line.isprintable()
        offset, numbers, text = re.fullmatch(
            r"([0-9a-f]{8})  (.{48})  \|(.{1,16})\|", line
        ).groups()  # type: ignore[union-attr] # it would fail here
        assert int(offset, 16) == len(found)
        row = bytes.fromhex(numbers)
        assert len(text) == len(row)
        found += row
    assert found == data
