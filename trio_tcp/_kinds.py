"""Of what kind a value must be that users give: checks for arguments, and for `attrs`.

Annotations say the same, but only to those who have them checked. To others a mistake
would show when the first client comes, far from where it was made, and look like the
client's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

__all__ = [
    "as_bytes",
    "check_codec",
    "check_function",
    "check_integer",
    "check_kind",
    "of_kind",
    "one_of",
]

Check: TypeAlias = Callable[[object, "attrs.Attribute[Any]", object], None]


def as_bytes(message: object) -> bytes:
    """Return a message of bytes as `bytes`, which nobody changes while they wait.

    A `bytearray` or a `memoryview` is copied. Everything else is refused: the length of
    an array, say, is not its number of bytes, and would tear the framing.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(message, bytes):
        return message
    if isinstance(message, bytearray):
        return bytes(message)
    if isinstance(message, memoryview):
        return message.tobytes()
    raise TypeError(f"a message must be of type bytes, not {type(message).__name__}")


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Check an argument that must be an object of a class, or of one of several.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be of type {wanted}, not {value!r}")


def check_integer(name: str, value: object) -> None:
    """Check an argument that must be a whole number, and not a `bool`.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")


def check_function(name: str, value: object) -> None:
    """Check an argument that is going to be called.

    Raises:
        TypeError: it cannot be, such as the result of a function in its place.
    """
    if not callable(value):
        raise TypeError(f"{name} must be a function, not {value!r}")


def check_codec(name: str, value: object) -> None:
    """Check an argument that must be a codec, and not its class.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, type):
        raise TypeError(
            f"{name} must be a codec, not the class of one: {value.__name__}(...)"
        )
    for method in ("encode", "decode"):
        if not callable(getattr(value, method, None)):
            raise TypeError(
                f"{name} must be a codec, such as codecs.Lines(), but {value!r} "
                f"has no method {method}"
            )


def of_kind(kind: type) -> Check:
    """Make a validator for an object of a class."""

    def check(
        _instance: object, attribute: attrs.Attribute[Any], value: object
    ) -> None:
        check_kind(attribute.name, value, kind)

    return check


def one_of(*choices: object) -> Check:
    """Make a validator for one of a few values."""

    def check(
        _instance: object, attribute: attrs.Attribute[Any], value: object
    ) -> None:
        if value not in choices or isinstance(value, bool):  # True is 1 for Python
            *others, last = map(repr, choices)
            raise ValueError(
                f"{attribute.name} must be {', '.join(others)} or {last}, not {value!r}"
            )

    return check
