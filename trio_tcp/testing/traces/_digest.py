"""What makes two segments the same, and a fingerprint of many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from trio_tcp.testing.traces._segment import Segment

__all__ = ["digest", "fields", "shape"]

Value: TypeAlias = float | int | str | bytes | tuple[str | int, ...] | None


def fields(segment: Segment) -> dict[str, Value]:
    """Return all that a segment says, by name."""
    options = segment.options
    return {
        "time": _seconds(segment.time),
        "source": tuple(segment.source),
        "destination": tuple(segment.destination),
        "sender": segment.sender,
        "receiver": segment.receiver,
        "flags": int(segment.flags),
        "seq": segment.seq,
        "ack": segment.ack,
        "window": segment.window,
        "payload": segment.payload,
        "options": None if options is None else tuple(options),
        "arrived": _seconds(segment.arrived),
        "fate": segment.fate,
    }


def shape(segment: Segment) -> dict[str, Value]:
    """Return what is the same in each run although TLS encrypts with other keys."""
    return {
        "time": _seconds(segment.time),
        "sender": segment.sender,
        "receiver": segment.receiver,
        "flags": int(segment.flags),
        "length": len(segment.payload),
        "arrived": _seconds(segment.arrived),
        "fate": segment.fate,
    }


def digest(segments: Iterable[Segment], *, payload: bool) -> str:
    """Return the fingerprint of segments or, without their payload, of their shape."""
    view = fields if payload else shape
    digester = hashlib.blake2b(digest_size=16)
    for segment in segments:
        # A tuple of numbers, strings and bytes has one spelling, and no two share it.
        digester.update(ascii(tuple(view(segment).values())).encode("ascii"))
    return digester.hexdigest()


def _seconds(time: float | None) -> float | None:
    """Make equal times look equal: 1 and 1.0, 0.0 and -0.0."""
    return None if time is None else float(time) + 0.0
