r"""Bytes and characters that cannot be typed, or shown, as ``\n`` and ``\xff``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escape", "unescape"]

UNKNOWN: Final = re.compile(r"(?:^|[^\\])(?:\\\\)*(\\(?:[^\\'\"abfnrtvx0-7]|$))")
"""A backslash, itself not escaped, before what Python gives no meaning in bytes."""


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
