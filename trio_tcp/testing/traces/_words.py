"""How segments are spelled for people: in lines, in labels, in a picture's titles."""

from __future__ import annotations

from typing import Final

from trio_tcp.testing.traces._segment import Flag, Segment

__all__ = ["excerpt", "kind", "label"]

_EXCERPT: Final = 16


def excerpt(payload: bytes, limit: int = _EXCERPT) -> str:
    r"""Return the start of a payload as text on one line, such as ``hello\n``."""
    text = payload[: 4 * limit].decode("utf-8", "backslashreplace")
    spelled = "".join(
        char if char.isprintable() else ascii(char)[1:-1] for char in text
    )
    return spelled if len(spelled) <= limit else f"{spelled[: limit - 1]}…"


def kind(segment: Segment) -> str:
    """Return the one word for what a segment is for; pictures colour it by that."""
    if segment.is_lost:
        return "lost"
    if segment.flags & Flag.RST:
        return "reset"
    if segment.fate:
        return "late"
    if segment.flags & (Flag.SYN | Flag.FIN):
        return "control"
    return "data" if segment.payload else "ack"


def label(segment: Segment) -> str:
    """Return what is written at an arrow: what it carries or else its flags.

    A window that is shut is told too: it is why nothing more comes.
    """
    if not segment.payload:
        words = segment.flag_names
        if not segment.window and not segment.flags & Flag.RST:
            words += ", window 0"
    else:
        words = f"{len(segment.payload)} B {excerpt(segment.payload)}"
        if flags := segment.flags & ~(Flag.PSH | Flag.ACK):
            words = f"{Flag(flags).name} {words}"
    return f"{words} ({segment.fate})" if segment.fate else words
