r"""Bytes and characters that cannot be typed, or shown, as ``\n`` and ``\xff``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escape", "escape_text", "unescape", "unescape_text"]

UNKNOWN: Final = re.compile(r"(?:^|[^\\])(?:\\\\)*(\\(?:[^\\'\"abfnrtvx0-7]|$))")
"""A backslash, itself not escaped, before what Python gives no meaning in bytes."""

IN_TEXT: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.)|$)", re.DOTALL
)
OF_ONE_CHARACTER: Final = {
    "\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "0": "\0",
    "a": "\a", "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip


def unescape(text: str) -> bytes:
    r"""Make bytes of a text: ``\x00``, ``\n``, ``\\`` as in Python, the rest as UTF-8.

    Raises:
        ValueError: an escape is unknown or not finished.
    """
    if unknown := UNKNOWN.search(text):
        raise ValueError(
            rf"{unknown[1]!r} means nothing; \n, \r, \t, \0, \xff and \\ do"
        )
    try:
        return text.encode().decode("unicode_escape").encode("latin-1")
    except UnicodeError as error:
        raise ValueError(rf"{text!r} has an escape that is no \xff") from error


def escape(text: str) -> str:
    r"""Write what could move a terminal's cursor, or be invisible, as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def escape_text(text: str) -> str:
    r"""Write the same, and a backslash as ``\\``: for `unescape_text`."""
    return escape(text.replace("\\", r"\\"))


def unescape_text(text: str) -> str:
    r"""Read ``\n``, ``\xff``, ``\u20ac``, ``\\`` as Python does in a `str`.

    Raises:
        ValueError: an escape is unknown or not finished.
    """
    return IN_TEXT.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    *numbers, letter = found.groups()
    try:
        if digits := next(filter(None, numbers), None):
            return chr(int(digits, 16))
        return OF_ONE_CHARACTER[letter]
    except (KeyError, ValueError):
        raise ValueError(
            rf"{found[0]!r} means nothing; \n, \r, \t, \0, \xff, \u20ac and \\ do"
        ) from None
