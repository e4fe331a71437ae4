from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_tcp import codecs
from trio_tcp.cli._connect._conversation import Direction, End, Entry
from trio_tcp.cli._connect._frames import Frame
from trio_tcp.cli._connect._script import (
    Expect,
    ExpectEnd,
    Match,
    Send,
    SendEnd,
    parse_script,
    script_notation,
    write_step,
)

SCRIPT = r"""
# a comment

> SET greeting hello
<  OK
> /slash/
< //slash/
< /hel+o \d/
>
<
>EOF
<EOF
"""


def entry(direction: Direction, message: object, error: Exception | None) -> Entry:
    """Make what a conversation tells of a message."""
    return Entry(
        direction=direction,
        time=0,
        seconds=0,
        since_request=None,
        text="",
        notation="",
        frame=Frame(b"\xff\n", message, error),
    )


def test_each_line_is_a_step() -> None:
    """With its number. One space behind the mark is not a part of the message."""
    assert parse_script(SCRIPT.splitlines(keepends=True)) == [
        Send(4, "SET greeting hello"),
        Expect(5, " OK"),
        Send(6, "/slash/"),
        Expect(7, "/slash/"),
        Match(8, re.compile(r"hel+o \d")),
        Send(9, ""),
        Expect(10, ""),
        SendEnd(11),
        ExpectEnd(12),
    ]


def test_line_ends_of_other_systems_are_no_part_of_a_message() -> None:
    """A script may come from anywhere."""
    assert parse_script(["> a\r\n", "> b"]) == [Send(1, "a"), Send(2, "b")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "begins with none of"),
        (">hello", "no space"),
        ("< /hello", "no slash at its end"),
        ("< /", "no slash at its end"),
        ("< /he(llo/", "no regular expression"),
        ("<eof", "no space"),
    ],
)
def test_a_line_that_is_no_step_is_named(line: str, reason: str) -> None:
    """With its number, and what is wrong with it."""
    with pytest.raises(ValueError, match=rf"^line 2: .*{reason}"):
        parse_script(["> hello\n", f"{line}\n"])


TEXT = st.text(st.characters(exclude_categories=()))


@example("received", (codecs.Lines(), "/etc/"))
@example("received", (codecs.Lines(), "//"))
@given(
    st.sampled_from(["sent", "received"]),
    st.one_of(
        st.tuples(st.just(codecs.Lines()), TEXT),
        st.tuples(st.just(codecs.Chunks()), st.binary()),
        st.tuples(st.just(codecs.Json()), TEXT | st.lists(st.integers())),
    ),
)
def test_what_was_recorded_can_be_played(
    direction: Direction, message: tuple[codecs.Codec[Any, Any], object]
) -> None:
    """A step reads as the message that was written, whatever is in it."""
    codec, value = message
    notation = script_notation(codec, None)
    line = write_step(entry(direction, value, None), notation)
    assert line.isprintable()
    [step] = parse_script([line])
    assert isinstance(step, Send if direction == "sent" else Expect)
    assert notation.read(step.text) == value


def test_ends_are_recorded() -> None:
    """Of either side."""
    notation = script_notation(codecs.Lines(), None)
    assert write_step(End("sent"), notation) == ">EOF"
    assert write_step(End("received"), notation) == "<EOF"


def test_what_was_no_message_is_recorded_as_a_comment() -> None:
    """It cannot be expected, but it can be read."""
    malformed = entry("received", None, ValueError("bad"))
    line = write_step(malformed, script_notation(codecs.Lines(), None))
    assert line.endswith(": ff 0a")
    assert parse_script([line]) == []


def test_scripts_are_written_as_the_user_wants() -> None:
    """Text has escapes, unless it is asked for as it is."""
    assert script_notation(codecs.Lines(), None).name == "escaped"
    assert script_notation(codecs.Lines(), "text").name == "text"
    assert script_notation(codecs.Chunks(), None).name == "bytes"
