r"""Conversations written down: to be played, or as they were recorded.

One step a line::

    # a comment; an empty line means nothing
    > SET greeting hello
    < OK
    > GET greeting
    < /hel+o/
    >EOF
    <EOF

``>`` sends a message. ``<`` expects one: exactly, or, between slashes, one whose text a
regular expression matches as a whole. A message that begins with a slash is expected
with one more before it. ``>EOF`` is the half-close, ``<EOF`` expects the peer to close.
Messages are written as in the terminal, but text with escapes: ``\\`` is a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import attrs

from trio_tcp import codecs
from trio_tcp.cli._connect._conversation import End, Entry
from trio_tcp.cli._parameters import Notation, notation_for

__all__ = [
    "Expect",
    "ExpectEnd",
    "Match",
    "Send",
    "SendEnd",
    "Step",
    "parse_script",
    "script_notation",
    "write_step",
]

EOF: Final = "EOF"


@attrs.frozen
class Send:
    """Send this message."""

    line: int
    text: str


@attrs.frozen
class SendEnd:
    """Send no more."""

    line: int


@attrs.frozen
class Expect:
    """Expect exactly this message."""

    line: int
    text: str


@attrs.frozen
class Match:
    """Expect a message whose text matches."""

    line: int
    pattern: re.Pattern[str]


@attrs.frozen
class ExpectEnd:
    """Expect the peer to close, between two messages."""

    line: int


Step: TypeAlias = Send | SendEnd | Expect | Match | ExpectEnd
"""Each knows the number of its line."""


def script_notation(codec: codecs.Codec[Any, Any], name: str | None) -> Notation:
    """Return how a script of a codec's messages is written.

    As elsewhere, but text has escapes: in a file it must be certain what a line is.

    Raises:
        ValueError: as `notation_for`.
    """
    notation = notation_for(codec, name)
    if name is None and notation.name == "text":
        return notation_for(codec, "escaped")
    return notation


def parse_script(lines: Iterable[str]) -> list[Step]:
    """Read a script.

    Raises:
        ValueError: a line is no step; it says which, and why.
    """
    steps: list[Step] = []
    for number, line in enumerate(lines, start=1):
        text = line.removesuffix("\n").removesuffix("\r")
        if not text.strip() or text.startswith("#"):
            continue
        try:
            steps.append(_step(number, text))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return steps


def _step(number: int, line: str) -> Step:
    mark, text = line[:1], line[1:]
    if mark not in ("<", ">"):
        raise ValueError(f"{line!r} begins with none of >, < and #")
    if text == EOF:
        return SendEnd(number) if mark == ">" else ExpectEnd(number)
    if text and not text.startswith(" "):
        raise ValueError(f"there is no space behind {mark!r}")
    text = text[1:]
    return Send(number, text) if mark == ">" else _expectation(number, text)


def _expectation(number: int, text: str) -> Step:
    if text.startswith("//"):
        return Expect(number, text[1:])
    if not text.startswith("/"):
        return Expect(number, text)
    if len(text) == 1 or not text.endswith("/"):
        raise ValueError(
            f"{text!r} begins like a regular expression, and has no slash at its end; "
            "two slashes at the beginning are one that is meant"
        )
    try:
        return Match(number, re.compile(text[1:-1]))
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


def write_step(what: Entry | End, notation: Notation) -> str:
    """Return the line of a script in which this happens again.

    Args:
        what: has happened.
        notation: in which the script will be played.
    """
    mark = ">" if what.direction == "sent" else "<"
    if isinstance(what, End):
        return f"{mark}{EOF}"
    if what.frame.error is not None:
        return f"# no message: {what.text}: {what.frame.data.hex(' ')}"
    text = notation.write(what.frame.message)
    if mark == "<" and text.startswith("/"):
        return f"< /{text}"
    return f"{mark} {text}"
