"""How messages look in the terminal: when, how large, in which direction, and what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, final

import attrs

from trio_tcp.cli._connect._conversation import Entry
from trio_tcp.cli._connect._hexdump import hexdump
from trio_tcp.cli._connect._terminal import Fragments

__all__ = ["TIMINGS", "Timing", "View", "notice", "warning"]

Timing: TypeAlias = Literal["start", "request", "none"]
TIMINGS: Final[tuple[Timing, ...]] = ("start", "request", "none")

QUIET: Final = "ansibrightblack"
MARKS: Final = {"sent": ("ansigreen", ">"), "received": ("ansiblue", "<")}
WRONG: Final = "ansired"

MAX_TEXT: Final = 4096
"""Characters of a message that are shown; more than a screen of them helps nobody."""

MAX_DUMPED: Final = 1024
"""Bytes that are dumped: 64 lines."""

DUMPED_IF_WRONG: Final = 128
"""Bytes of what was no message. They are shown without being asked for."""


@final
@attrs.define
class View:
    """What is shown of each message; it can be changed meanwhile.

    Attributes:
        timing: seconds since the start, or since the last message sent; or none.
        dumps: the bytes of each message are shown below it.
    """

    timing: Timing = "start"
    dumps: bool = False

    def lines(self, entry: Entry) -> list[Fragments]:
        """Return the lines of one message."""
        style, mark = MARKS[entry.direction]
        if entry.frame.error is None:
            text = ("", _shortened(entry.text))
        else:
            text = (WRONG, _shortened(entry.text))
        figures = f"{self._time(entry)}{len(entry.frame.data):>9,} B  "
        return [[(QUIET, figures), (style, f"{mark} "), text], *self._dump(entry)]

    def _time(self, entry: Entry) -> str:
        match self.timing:
            case "start":
                return f"{entry.seconds:9.3f} s"
            case "request" if entry.direction == "sent" or entry.since_request is None:
                return " " * 11
            case "request":
                return f"+{entry.since_request or 0:8.3f} s"
            case "none":
                return ""

    def _dump(self, entry: Entry) -> Iterable[Fragments]:
        wanted = MAX_DUMPED if self.dumps else 0
        if entry.frame.error is not None:
            wanted = max(wanted, DUMPED_IF_WRONG)
        data = entry.frame.data
        for line in hexdump(data[:wanted]):
            yield [(QUIET, f"    {line}")]
        if 0 < wanted < len(data):
            yield [(QUIET, f"    … {len(data) - wanted:,} bytes more")]


def notice(text: str) -> Fragments:
    """Return a line that is not of the peer."""
    return [(QUIET, f"* {text}")]


def warning(text: str) -> Fragments:
    """Return a line about what cannot be done."""
    return [(WRONG, f"* {text}")]


def _shortened(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]} … {len(text) - MAX_TEXT:,} characters more"
