"""What a program said that it does, between the segments that it caused."""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["Note", "place_among"]


@attrs.frozen
class Note:
    """A remark of a program at a moment, on a host.

    Attributes:
        time: When it was made, in seconds of the simulation.
        host: The name of the host on which it was made.
        text: What it says.
        segments_before: How many segments had been sent before it. It orders the notes
            and segments of one instant.
    """

    time: float
    host: str
    text: str
    segments_before: int


_HALF: Final = 0.5


def place_among(note: Note) -> float:
    """Return a number that sorts a note between the indexes of the segments."""
    return note.segments_before - _HALF
