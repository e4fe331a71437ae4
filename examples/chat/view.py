"""How what the server says looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from examples.chat.messages import (
    Done,
    Entered,
    Event,
    Goodbye,
    Happening,
    Joined,
    Left,
    Missed,
    Notice,
    Problem,
    Renamed,
    Reply,
    Said,
    Welcome,
    Whispered,
)
from examples.chat.terminal import Fragment

__all__ = ["lines_of", "warning"]

QUIET: Final = "ansibrightblack"
WRONG: Final = "ansired"
NAME: Final = "bold"
PRIVATE: Final = "ansimagenta"


def warning(text: str) -> list[Fragment]:
    """Return a line about what is wrong."""
    return [(WRONG, f"* {text}")]


def notice(text: str) -> list[Fragment]:
    """Return a line that nobody has said."""
    return [(QUIET, f"* {text}")]


def lines_of(reply: Reply) -> Iterator[list[Fragment]]:
    """Yield the lines that show it."""
    match reply:
        case Event():
            clock = datetime.fromtimestamp(reply.at).astimezone().strftime("%H:%M ")
            yield [(QUIET, clock), *_happening(reply.what)]
        case Welcome(nick):
            yield notice(f"you are {nick}; /help lists the commands")
        case Entered(room, nicks):
            yield notice(f"in {room}: {', '.join(nicks)}")
        case Missed(count):
            yield warning(f"{count or 'some'} messages are missing here")
        case Notice(text):
            yield from ([("", f"  {line}")] for line in text.splitlines())
        case Problem(text) | Goodbye(text):
            yield warning(text)
        case Done():
            pass


def _happening(what: Happening) -> list[Fragment]:
    match what:
        case Said():
            return [(NAME, f"{what.nick}: "), ("", what.text)]
        case Whispered():
            names = f"{what.nick} to {what.to}, in private: "
            return [(PRIVATE, names), ("", what.text)]
        case Joined():
            return [(QUIET, f"* {what.nick} has joined {what.room}")]
        case Left():
            return [(QUIET, f"* {what.nick} has left {what.room}")]
        case Renamed():
            return [(QUIET, f"* {what.before} is now {what.nick}")]
