"""Where two runs part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, final

import attrs

from trio_tcp.testing.traces._digest import fields, shape
from trio_tcp.testing.traces._segment import Segment

__all__ = ["Difference", "find_difference"]

_CONTEXT: Final = 3


@final
@attrs.frozen(kw_only=True, eq=False)
class Difference:
    """The first segment in which two traces differ.

    ``str()`` of it is a report for people.

    Attributes:
        index: How many segments before it are the same in both.
        ours: The segment of the trace that was asked; None if that ended here.
        theirs: The segment of the other trace; None if that ended here.
        fields: The names of the fields that differ; empty where a trace ended.
        before: The last few segments that are the same.
    """

    index: int
    ours: Segment | None
    theirs: Segment | None
    fields: tuple[str, ...]
    before: tuple[Segment, ...]

    def __str__(self) -> str:
        what = f" ({', '.join(self.fields)})" if self.fields else ""
        lines = [f"The traces differ at segment {self.index}{what}:"]
        if self.index > len(self.before):
            lines.append(f"    ... {self.index - len(self.before)} the same")
        lines += [f"    {_line(segment)}" for segment in self.before]
        lines += [f"  - {_line(self.ours)}", f"  + {_line(self.theirs)}"]
        if self.ours is not None and self.theirs is not None:
            ours, theirs = _values(self.ours), _values(self.theirs)
            lines += [
                f"  {name}: {ours[name]!r} became {theirs[name]!r}"
                for name in self.fields
            ]
        return "\n".join(lines)


def find_difference(
    ours: Sequence[Segment], theirs: Sequence[Segment], *, payload: bool
) -> Difference | None:
    """Return the first difference; without payload, the first one in shape."""
    view = fields if payload else shape
    for index, (mine, other) in enumerate(zip_longest(ours, theirs)):
        names: tuple[str, ...] = ()
        if mine is not None and other is not None:
            left, right = view(mine), view(other)
            names = tuple(name for name in left if left[name] != right[name])
            if not names:
                continue
        return Difference(
            index=index,
            ours=mine,
            theirs=other,
            fields=names,
            before=tuple(ours[max(0, index - _CONTEXT) : index]),
        )
    return None


def _values(segment: Segment) -> dict[str, object]:
    return {**shape(segment), **fields(segment)}


def _line(segment: Segment | None) -> str:
    if segment is None:
        return "(no more segments)"
    arrived = "" if segment.arrived is None else f" arrived {segment.arrived:.6f}"
    return f"{segment}{arrived}"
