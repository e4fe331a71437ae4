"""Bytes for people: offset, hexadecimal, and what of it is ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["hexdump"]

WIDTH: Final = 16
"""Bytes in a line, as ``hexdump -C`` and Wireshark have it."""

PRINTABLE: Final = range(0x20, 0x7F)
"""What ASCII has that neither moves a cursor nor is invisible."""


def hexdump(data: bytes) -> Iterator[str]:
    """Yield the lines of a dump: eight digits of the offset, its bytes, and text."""
    for offset in range(0, len(data), WIDTH):
        row = data[offset : offset + WIDTH]
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        text = "".join(chr(byte) if byte in PRINTABLE else "." for byte in row)
        yield f"{offset:08x}  {halves}  |{text}|"
