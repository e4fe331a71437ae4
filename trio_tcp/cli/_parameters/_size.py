"""Numbers of bytes, as people write them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["parse_size"]

SIZE: Final = re.compile(r"([0-9]+) ?(|B|[KMG]i?B?)", re.ASCII)

FACTORS: Final = {
    "": 1,
    "B": 1,
    **{f"{letter}{i}{b}": 1 << shift if i else 10 ** (shift // 10 * 3)
       for letter, shift in (("K", 10), ("M", 20), ("G", 30))
       for i in ("", "i")
       for b in ("", "B")},
}  # fmt: skip
"""IEC 80000-13: KiB is 1024, KB is 1000."""


def parse_size(text: str) -> int:
    """Read ``4096``, ``64KiB``, ``1 MB``.

    Raises:
        ValueError: it is no such number.
    """
    found = SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no number of bytes, as 4096, 64KiB or 1MiB are")
    return int(found[1]) * FACTORS[found[2]]
