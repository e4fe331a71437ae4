"""Values of any kind as values that JSON has: for one line of a log, and bounded."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar, cast, final

import attrs

from trio_tcp._address import TcpAddress, UnixAddress
from trio_tcp._printable import shortened

if TYPE_CHECKING:
    from attrs import AttrsInstance

__all__ = ["JsonValues", "written"]

T = TypeVar("T")

MAX_DEPTH: Final = 5
MAX_INTEGER: Final = 1 << 63
"""What is larger becomes text: JSON allows it, but its readers have 64 bits, or 53."""

LEFT_OUT: Final = "[...]"


@final
class JsonValues:
    """Makes values for one line.

    Args:
        chars: how many characters of a text to take.
        traceback_chars: likewise, of a traceback.
        count: how many values to take, those in others included.
    """

    def __init__(self, chars: int, traceback_chars: int, count: int) -> None:
        self._chars = chars
        self._traceback_chars = traceback_chars
        self._left = count

    def of(self, value: object, depth: int = 0) -> object:
        """Return a value that JSON has; text, where it has none like this."""
        if self._left <= 0 or depth > MAX_DEPTH:
            return LEFT_OUT
        self._left -= 1
        try:
            return self._of(value, depth + 1)
        except Exception:  # noqa: BLE001 - a user's class may raise any
            return _unwritable(value)

    def _of(self, value: object, depth: int) -> object:
        match value:
            case None | bool():
                return value
            case Enum():
                return self.of(value.value, depth)
            case str():
                return self.text(value)
            case int() if -MAX_INTEGER <= value < MAX_INTEGER:
                return int(value)
            case float() if math.isfinite(value):
                return float(value)
            case _:
                return self._of_object(value, depth)

    def _of_object(self, value: object, depth: int) -> object:  # noqa: PLR0911 - a case for each
        match value:
            case TcpAddress() | UnixAddress():
                return self.text(str(value))
            case bytes() | bytearray():
                return self.text(repr(bytes(value[: self._chars])))
            case BaseException():
                return self.error(value)
            case Mapping():
                mapping = cast("Mapping[object, object]", value)
                return dict(self._items(mapping.items(), depth))
            case list() | tuple() | set() | frozenset():
                items = cast("Iterable[object]", value)
                return [self.of(item, depth) for item in self._first(items)]
            case _ if attrs.has(type(value)):
                kind = cast("type[AttrsInstance]", type(value))
                names = [field.name for field in attrs.fields(kind)]
                fields = ((name, getattr(value, name)) for name in names)
                return dict(self._items(fields, depth))
            case _:
                return self.text(written(value))

    def _items(
        self, items: Iterable[tuple[object, object]], depth: int
    ) -> Iterator[tuple[str, object]]:
        for key, value in self._first(items):
            yield self.text(written(key)), self.of(value, depth)

    def _first(self, items: Iterable[T]) -> Iterator[T]:
        """Yield as long as there is room for another value."""
        for item in items:
            if self._left <= 0:
                return
            yield item

    def text(self, text: str) -> str:
        """Shorten a text, and make it one that UTF-8 has."""
        return _encodable(shortened(text, self._chars))

    def error(self, error: BaseException, *, traced: bool = False) -> dict[str, str]:
        """Describe an error, with its traceback if that is asked for."""
        described = {
            "type": self.text(_public_name(type(error))),
            "message": self.text(written(error)),
        }
        if traced:
            lines = "".join(traceback.format_exception(error)).rstrip("\n")
            described["stack_trace"] = _encodable(
                shortened(lines, self._traceback_chars)
            )
        return described


def written(value: object) -> str:
    """Return what ``str()`` makes of a value, or that it fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a user's class may raise any
        return _unwritable(value)


def _public_name(kind: type[BaseException]) -> str:
    """Return the name by which a class is imported: without private modules."""
    module, _, _ = kind.__module__.partition("._")
    prefix = "" if module == "builtins" else f"{module}."
    return f"{prefix}{kind.__qualname__}"


def _unwritable(value: object) -> str:
    return f"<{type(value).__name__} that cannot be written>"


def _encodable(text: str) -> str:
    """Escape surrogates: they stand for what was no text, and UTF-8 has none."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
