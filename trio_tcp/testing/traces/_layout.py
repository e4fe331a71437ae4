"""Where things stand in a picture: lifelines across, time downwards.

Time is to scale, with two exceptions: a long stretch in which nothing happens is cut
short and marked, and each segment has at least a row of its own: where it is sent, and
where it arrives, among those of its direction. So has each note, at its host.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, final

import attrs

from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._note import Note, place_among
from trio_tcp.testing.traces._segment import Segment

__all__ = ["Layout", "host_names", "lay_out"]

_FLIGHT: Final = 40.0
"""How far down a segment of the usual latency falls on its way, in pixels."""

_ROW: Final = 19.0
_IDLE: Final = 150.0
"""A stretch that is longer than this, in pixels, is cut down to `_CUT`."""
_CUT: Final = 52.0

_FAULT_CHANGES: Final = 0
_IS_NOTED: Final = 1
_IS_SENT: Final = 2
_ARRIVES: Final = 3


@final
@attrs.frozen(kw_only=True)
class Layout:
    """Heights, in pixels from the top.

    Attributes:
        sent: Where each segment is sent.
        arrived: Where each segment arrives; None if it has not.
        noted: Where each note stands.
        cuts: The middle of each stretch that was cut short, and its true seconds.
        bottom: Where the last thing happens.
        fall: How far down a segment of the usual latency falls.
    """

    sent: list[float]
    arrived: list[float | None]
    noted: list[float]
    cuts: list[tuple[float, float]]
    bottom: float
    fall: float
    _times: list[float] = attrs.field(alias="times")
    _heights: list[float] = attrs.field(alias="heights")

    def begin(self, time: float) -> float:
        """Return where something begins at this time, of which the layout knows."""
        return self._heights[bisect_left(self._times, time)]

    def end(self, time: float | None) -> float:
        """Return where something ends; None is the end of the trace."""
        if time is None:
            return self.bottom
        return self._heights[bisect_right(self._times, time) - 1]


def host_names(
    segments: Iterable[Segment],
    faults: Iterable[FaultSpan],
    hosts: Mapping[str, str],
    notes: Iterable[Note],
) -> list[str]:
    """Return the names of the lifelines from left to right.

    A host that nothing happens to has none; what is on everything, as a fault without a
    target, happens to nobody in particular.
    """
    busy: dict[str, None] = {}
    for segment in segments:
        busy[segment.sender] = None
        if segment.receiver:
            busy[segment.receiver] = None
    busy.update((note.host, None) for note in notes)
    known = dict.fromkeys(hosts.values())
    for fault in faults:
        if set(fault.hosts) < set(known):
            busy.update((name, None) for name in fault.hosts)
    return [name for name in (known | busy) if name in busy]


def lay_out(
    segments: Sequence[Segment], faults: Sequence[FaultSpan], notes: Sequence[Note]
) -> Layout:
    """Find the height of everything that happens."""
    scale = _FLIGHT / _usual_latency(segments)
    sent = [0.0] * len(segments)
    arrived: list[float | None] = [None] * len(segments)
    noted = [0.0] * len(notes)
    cuts: list[tuple[float, float]] = []
    times: list[float] = []
    heights: list[float] = []
    height, row = 0.0, 0.0
    arrival_rows: dict[tuple[str, str], float] = {}
    note_rows: dict[str, float] = {}
    for time, event, index in _moments(segments, faults, notes):
        seconds = time - times[-1] if times else 0.0
        distance = seconds * scale
        if distance > _IDLE:
            cuts.append((height + _CUT / 2, seconds))
            distance = _CUT
        height += distance
        if event == _ARRIVES:
            way = (segments[index].sender, segments[index].receiver)
            height = max(height, arrival_rows.get(way, 0.0))
            arrival_rows[way] = height + _ROW
            arrived[index] = height
        elif event == _IS_NOTED:
            host = notes[index].host
            height = max(height, note_rows.get(host, 0.0))
            note_rows[host] = height + _ROW
            noted[index] = height
        elif event == _IS_SENT:
            height = max(height, row)
            row = height + _ROW
            sent[index] = height
        times.append(time)
        heights.append(height)
    return Layout(
        sent=sent,
        arrived=arrived,
        noted=noted,
        cuts=cuts,
        bottom=height,
        fall=_FLIGHT,
        times=times,
        heights=heights,
    )


def _moments(
    segments: Sequence[Segment], faults: Sequence[FaultSpan], notes: Sequence[Note]
) -> list[tuple[float, int, int]]:
    """Return when what happens: the time, the event, the index of what it happens to.

    What arrives stands before what is sent at the same time, unless it was itself sent
    at that time: answers follow what they answer.
    """
    keyed: list[tuple[float, float, int, int]] = []
    for index, fault in enumerate(faults):
        keyed.append((fault.begin, -2, _FAULT_CHANGES, index))
        if fault.end is not None:
            keyed.append((fault.end, -2, _FAULT_CHANGES, index))
    for index, note in enumerate(notes):
        keyed.append((note.time, place_among(note), _IS_NOTED, index))
    for index, segment in enumerate(segments):
        keyed.append((segment.time, index, _IS_SENT, index))
        if segment.arrived is not None:
            order = index if segment.arrived == segment.time else -1
            keyed.append((segment.arrived, order, _ARRIVES, index))
    keyed.sort()
    return [(time, event, index) for time, _, event, index in keyed]


def _usual_latency(segments: Sequence[Segment]) -> float:
    """Return the seconds by which a picture is scaled, above 0."""
    flights = [s.arrived - s.time for s in segments if s.arrived is not None]
    gaps = [later.time - sooner.time for sooner, later in pairwise(segments)]
    for seconds in (flights, gaps):
        if positive := [value for value in seconds if value > 0]:
            return median(positive)
    return 1.0
