"""Text that somebody else may have written, made fit for a line of a log.

The text of an error can quote what a peer has sent, and a label may be what a peer
calls itself. As it is, a line end in it would forge a line of the log, and an escape
sequence would command the terminal of whoever reads it (CWE-117, CWE-150). So what
cannot be printed is escaped as in a Python string, and what is long loses its middle.
"""

from __future__ import annotations

import traceback
from typing import Final

__all__ = ["MAX_QUOTED_CHARS", "printable", "printable_traceback", "shortened"]

MAX_CHARS: Final = 500
"""Of one text in a line. A message that an error quotes can be megabytes."""

MAX_QUOTED_CHARS: Final = 100
"""Of what a peer has sent, in the text of an error. It is enough to see what it is."""

MAX_TRACEBACK_CHARS: Final = 16_000
"""Some 150 frames."""

INDENT: Final = "  "


def shortened(text: str, limit: int) -> str:
    """Take out the middle of a text, if it has more characters than this."""
    if len(text) <= limit:
        return text
    head = limit // 2
    missing = len(text) - limit
    return f"{text[:head]}[... {missing} more ...]{text[head + missing :]}"


def printable(text: str, limit: int = MAX_CHARS) -> str:
    r"""Shorten, and escape what cannot be printed: ``\n``, ``\x1b``, ``\u202e``.

    Line ends of all kinds, control characters, those that change the direction of the
    text, and surrogates, which no encoding has: what `str.isprintable` denies.
    """
    text = shortened(text, limit)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def printable_traceback(error: BaseException) -> str:
    """Return the traceback of an error, with each line indented.

    The last part of it is the error's own text, which may have lines. Nothing in it can
    be taken for a new line of the log, which is not indented.
    """
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    lines = shortened(text, MAX_TRACEBACK_CHARS).split("\n")
    return "\n".join(INDENT + printable(line) for line in lines)
