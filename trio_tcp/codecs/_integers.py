"""Unsigned integers of a fixed size, as lengths are written.

The functions that read them are made once, and found by a name. A codec keeps the name
instead of the function, as those of `struct` cannot be pickled.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["READ", "ByteOrder", "IntegerSize", "layout"]

IntegerSize: TypeAlias = Literal[1, 2, 3, 4, 8]
ByteOrder: TypeAlias = Literal["big", "little"]

SYMBOLS: Final[dict[ByteOrder, str]] = {"big": ">", "little": "<"}

READ: Final[dict[str, Callable[[bytes, int], tuple[Any, ...]]]] = {}
"""Functions that read a number at an index, and return it in a tuple."""


def layout(size: IntegerSize, order: ByteOrder) -> str:
    """Return the name that such integers have in `READ`."""
    return SYMBOLS[order] + str(size)


def _add_three_bytes(order: ByteOrder) -> None:
    """Add functions for the one size that has no letter in `struct`."""
    if order == "big":
        split = struct.Struct(">BH").unpack_from

        def read(data: bytes, begin: int) -> tuple[int]:
            high, low = split(data, begin)
            return (high << 16 | low,)
    else:
        split = struct.Struct("<HB").unpack_from

        def read(data: bytes, begin: int) -> tuple[int]:
            low, high = split(data, begin)
            return (high << 16 | low,)

    READ[layout(3, order)] = read


def _add_all() -> None:
    letters: dict[IntegerSize, str] = {1: "B", 2: "H", 4: "I", 8: "Q"}
    for order, symbol in SYMBOLS.items():
        for size, letter in letters.items():
            READ[layout(size, order)] = struct.Struct(symbol + letter).unpack_from
        _add_three_bytes(order)


_add_all()
