"""Messages as people type and read them, each in one line.

What is written has no character that controls a terminal, whatever a peer has sent.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any, Final

import attrs

from trio_tcp import codecs
from trio_tcp.cli._parameters._escapes import (
    escape,
    escape_text,
    unescape,
    unescape_text,
)

__all__ = ["NOTATIONS", "Notation", "notation_for"]

AnyCodec = codecs.Codec[Any, Any]

NOTATIONS: Final = ("text", "escaped", "bytes", "hex", "json", "python")
"""Their names."""

OF_BYTES: Final = (
    codecs.Chunks,
    codecs.Delimited,
    codecs.FixedLength,
    codecs.LengthField,
    codecs.LengthPrefixed,
    codecs.Netstrings,
    codecs.VarintPrefixed,
)


@attrs.frozen
class Notation:
    """How messages are written.

    Attributes:
        name: one of `NOTATIONS`.
        read: makes a message of a line, or raises `ValueError`, which says what is
            wrong with it.
        write: makes a line of a message.
    """

    name: str
    read: Callable[[str], object]
    write: Callable[[Any], str]


def notation_for(codec: AnyCodec, name: str | None = None) -> Notation:
    """Choose how to write the messages of a codec.

    Args:
        codec: whose messages are text, bytes, JSON's kinds of values, or else objects
            of Python.
        name: what the user wants; None for what is usual.

    Raises:
        ValueError: these messages cannot be written so.
    """
    possible: dict[str, Callable[[AnyCodec], Notation]]
    if isinstance(codec, codecs.Lines):
        usual, possible = "text", {"text": _text, "escaped": _escaped_text}
    elif isinstance(codec, codecs.Json | codecs.MessagePack):
        usual, possible = "json", {"json": _json, "python": _python}
    elif isinstance(codec, OF_BYTES):
        usual = "bytes"
        possible = {"bytes": _bytes, "hex": _hex, "text": _encoded_text}
    else:
        usual, possible = "python", {"python": _python}
    make = possible.get(name or usual)
    if make is None:
        kind = type(codec).__name__
        raise ValueError(
            f"messages of {kind} are not written as {name}; {' or '.join(possible)}"
        )
    return make(codec)


def _text(_codec: AnyCodec) -> Notation:
    return Notation("text", str, escape)


def _escaped_text(_codec: AnyCodec) -> Notation:
    return Notation("escaped", unescape_text, escape_text)


def _encoded_text(_codec: AnyCodec) -> Notation:
    def write(message: bytes) -> str:
        return escape(message.decode("utf-8", "backslashreplace"))

    return Notation("text", str.encode, write)


def _bytes(_codec: AnyCodec) -> Notation:
    def write(message: bytes) -> str:
        return "".join(map(_byte, message))

    return Notation("bytes", unescape, write)


def _byte(value: int) -> str:
    char = chr(value)
    if char == "\\":
        return r"\\"
    return char if char.isascii() and char.isprintable() else _escaped(char)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _hex(_codec: AnyCodec) -> Notation:
    def read(text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is not hexadecimal, as in 01 ff or 01ff"
            ) from None

    def write(message: bytes) -> str:
        return message.hex(" ")

    return Notation("hex", read, write)


def _json(codec: AnyCodec) -> Notation:
    import msgspec  # noqa: PLC0415 - optional, but codecs of this kind have it

    kind = getattr(codec, "type", Any)

    def read(text: str) -> object:
        try:
            return msgspec.json.decode(text.encode(), type=kind)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise ValueError(f"this is no such message: {error}") from error

    def write(message: object) -> str:
        try:
            text = msgspec.json.encode(message).decode()
        except (TypeError, ValueError, RecursionError):
            return escape(repr(message))  # MessagePack has more than JSON
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)

    return Notation("json", read, write)


def _python(_codec: AnyCodec) -> Notation:
    def read(text: str) -> object:
        try:
            value: object = ast.literal_eval(text)
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            raise ValueError(
                f"{text!r} is no literal of Python, as b'hello' or (1, 'two') are"
            ) from None
        return value

    def write(message: object) -> str:
        return escape(repr(message))

    return Notation("python", read, write)
