"""A trace as one still picture: a sequence diagram in SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, final
from xml.sax.saxutils import escape

from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._layout import Layout, host_names, lay_out
from trio_tcp.testing.traces._note import Note
from trio_tcp.testing.traces._segment import Segment
from trio_tcp.testing.traces._words import excerpt, kind, label

__all__ = ["to_svg"]

_TIMES: Final = 78
"""Room for the times, at the left."""
_ACROSS: Final = 210
_MARGIN: Final = 40
"""Room beside the outer lifelines, at least."""
_ASIDE: Final = 180
"""Room at the right for arrows from the last host to itself, or to nobody."""
_TOP: Final = 84
_BOTTOM: Final = 44
_BAND: Final = 30
_LOOP: Final = 70
"""How far out the arrow goes of a segment from a host to itself."""
_GAP: Final = 12
"""Between a lifeline and a note."""
_NOTE_CHAR: Final = 7.9
_NAME_CHAR: Final = 7.0
"""How wide a character of a note is, and one of a name or an address, in pixels."""
_DIGITS: Final = 6
"""After the point of a time: microseconds."""

_STYLE: Final = """
svg { --paper: #ffffff; --ink: #1f2733; --soft: #667085; --line: #cbd2dc;
  --data: #1d5fd1; --ack: #687385; --control: #12805c; --bad: #c8232c; --late: #a85a00;
  --band: #f5a524; font: 13px/1 system-ui, -apple-system, "Segoe UI", sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #10151c; --ink: #e4e9f0; --soft: #98a3b3; --line: #364152;
    --data: #79b0ff; --ack: #8692a3; --control: #52cf9d; --bad: #ff7d78;
    --late: #f0a552; --band: #d98e1f; } }
.paper { fill: var(--paper); } text { fill: var(--ink); }
.host { font-size: 15px; font-weight: 600; text-anchor: middle; }
.soft { fill: var(--soft); font-size: 12px; }
.address { text-anchor: middle; } .time { text-anchor: end; }
.lifeline { stroke: var(--line); stroke-width: 2; }
.band { fill: var(--band); fill-opacity: .22; }
.cut { fill: none; stroke: var(--line); stroke-dasharray: 2 5; }
.fault { fill: var(--late); font-size: 13px; font-weight: 600; }
.note { font: 13px/1 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.left { text-anchor: end; }
.segment { color: var(--data); } .ack { color: var(--ack); }
.control { color: var(--control); } .late { color: var(--late); }
.reset, .lost { color: var(--bad); }
.segment path { fill: none; stroke: currentColor; stroke-width: 1.6; }
.segment .head { fill: currentColor; stroke: none; }
.lost .flight { stroke-dasharray: 6 4; }
.segment text { fill: currentColor; font-size: 13px; paint-order: stroke;
  stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
"""


def to_svg(
    segments: Sequence[Segment],
    faults: Sequence[FaultSpan],
    hosts: Mapping[str, str],
    notes: Sequence[Note],
    *,
    title: str,
) -> str:
    """Return the picture."""
    picture = _Picture(segments, faults, hosts, notes)
    return "\n".join(picture.lines(title)) + "\n"


@final
class _Picture:
    def __init__(
        self,
        segments: Sequence[Segment],
        faults: Sequence[FaultSpan],
        hosts: Mapping[str, str],
        notes: Sequence[Note],
    ) -> None:
        self._segments = segments
        self._faults = faults
        self._notes = notes
        self._layout: Layout = lay_out(segments, faults, notes)
        names = host_names(segments, faults, hosts, notes)
        self._addresses: dict[str, list[str]] = {name: [] for name in names}
        for address, name in hosts.items():
            if name in self._addresses:
                self._addresses[name].append(address)
        left = self._room_beside(names[0]) if len(names) > 1 else _MARGIN
        left += _TIMES
        self._across = {name: left + i * _ACROSS for i, name in enumerate(names)}
        right = self._room_beside(names[-1]) if names else _MARGIN
        if any(self._goes_aside(segment) for segment in segments):
            right = max(right, _ASIDE)
        self._width = left + max(0, len(names) - 1) * _ACROSS + right
        self._height = _TOP + self._layout.bottom + _BOTTOM
        if segments and segments[-1].arrived is None:
            self._height += self._layout.fall

    def _room_beside(self, name: str) -> int:
        """Return how wide the margin is at an outer lifeline: names, and notes."""
        above = max(len(name), len(" ".join(self._addresses[name])))
        notes = [len(note.text) for note in self._notes if note.host == name]
        faults = [len(f.name) for f in self._faults if self._touched(f)[:1] == [name]]
        longest = max([*notes, *faults], default=0)
        wide = longest * _NOTE_CHAR + _BAND / 2 + _GAP if longest else 0
        return math.ceil(max(_MARGIN, above * _NAME_CHAR / 2 + _GAP, wide))

    def _goes_aside(self, segment: Segment) -> bool:
        """Tell whether an arrow needs room at the right of its host."""
        known = self._across.get(segment.receiver)
        return known is None or segment.receiver == segment.sender

    def lines(self, title: str) -> Iterator[str]:
        names = ", ".join(self._across) or "no hosts"
        yield (
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            'aria-labelledby="title description" '
            f'viewBox="0 0 {self._width} {self._height:.0f}" '
            f'width="{self._width}" height="{self._height:.0f}">'
        )
        yield f'<title id="title">{_xml(title)}</title>'
        yield (
            '<desc id="description">A sequence diagram, time downwards: '
            f"segments: {len(self._segments)}, faults: {len(self._faults)}; "
            f"the hosts are {_xml(names)}.</desc>"
        )
        yield f"<style>{_STYLE}</style>"
        yield '<rect class="paper" width="100%" height="100%"/>'
        yield from self._bands()
        yield from self._lifelines()
        yield from self._cuts()
        yield from self._times()
        for index, segment in enumerate(self._segments):
            yield self._arrow(index, segment)
        yield from self._remarks()
        yield "</svg>"

    def _bands(self) -> Iterator[str]:
        for fault in self._faults:
            top = _TOP + self._layout.begin(fault.begin)
            height = max(_TOP + self._layout.end(fault.end) - top, 4)
            touched = self._touched(fault)
            words = _xml(f"{fault.name} on {fault.where}")
            yield f'<g class="fault-span"><title>{words}</title>'
            for name in touched:
                x = self._across[name] - _BAND / 2
                yield (
                    f'<rect class="band" x="{x}" y="{top:.1f}" '
                    f'width="{_BAND}" height="{height:.1f}" rx="5"/>'
                )
            if touched:
                x, side = self._beside(touched[0], _BAND / 2 + 4)
                y = top + height / 2 + 4
                yield (
                    f'<text class="fault {side}" x="{x}" y="{y:.1f}">'
                    f"{_xml(fault.name)}</text>"
                )
            yield "</g>"

    def _touched(self, fault: FaultSpan) -> list[str]:
        """Return the lifelines that a fault is on."""
        return [name for name in fault.hosts if name in self._addresses]

    def _beside(self, name: str, gap: float) -> tuple[float, str]:
        """Return where words at a lifeline stand: of the first, on the left side."""
        is_left = len(self._across) > 1 and name == next(iter(self._across))
        x = self._across[name]
        return (x - gap, "left") if is_left else (x + gap, "right")

    def _lifelines(self) -> Iterator[str]:
        for name, x in self._across.items():
            addresses = " ".join(self._addresses[name])
            yield (
                f'<text class="host" x="{x}" y="30">{_xml(name)}</text>'
                f'<text class="soft address" x="{x}" y="48">{_xml(addresses)}</text>'
                f'<line class="lifeline" x1="{x}" x2="{x}" y1="{_TOP - 24}" '
                f'y2="{self._height - 16:.1f}"/>'
            )

    def _cuts(self) -> Iterator[str]:
        for height, seconds in self._layout.cuts:
            y = _TOP + height
            yield (
                f'<path class="cut" d="M{_TIMES} {y:.1f}H{self._width}"/>'
                f'<text class="soft time" x="{_TIMES - 6}" y="{y + 4:.1f}">'
                f"{seconds:.4g} s idle</text>"
            )

    def _times(self) -> Iterator[str]:
        """Write a time where there is room since the last one."""
        digits = max((_digits(segment.time) for segment in self._segments), default=0)
        yield f'<text class="soft time" x="{_TIMES - 6}" y="48">seconds</text>'
        free = -math.inf
        previous: float | None = None
        for segment, height in zip(self._segments, self._layout.sent, strict=True):
            if segment.time == previous or height < free:
                continue
            previous = segment.time
            free = height + 16
            yield (
                f'<text class="soft time" x="{_TIMES - 6}" '
                f'y="{_TOP + height + 4:.1f}">{segment.time:.{digits}f}</text>'
            )

    def _remarks(self) -> Iterator[str]:
        """Write each note beside its lifeline."""
        for note, height in zip(self._notes, self._layout.noted, strict=True):
            x, side = self._beside(note.host, _GAP)
            yield (
                f'<text class="note {side}" x="{x}" y="{_TOP + height + 4:.1f}">'
                f"{_xml(note.text)}</text>"
            )

    def _arrow(self, index: int, segment: Segment) -> str:
        start_x = self._across[segment.sender]
        target = self._across.get(segment.receiver, start_x + _ACROSS * 0.6)
        start_y = _TOP + self._layout.sent[index]
        arrived = self._layout.arrived[index]
        end_y = start_y + self._layout.fall if arrived is None else _TOP + arrived
        points = [(start_x, start_y), (target, end_y)]
        if target == start_x:
            middle = (start_x + _LOOP, (start_y + end_y) / 2)
            points = [(start_x, start_y), middle, (target, end_y)]
        if arrived is None:
            (x, y), (to_x, to_y) = points[:2]
            points = [(x, y), (x + (to_x - x) * 0.6, y + (to_y - y) * 0.6)]
        flight = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        return (
            f'<g class="segment {kind(segment)}"><title>{_xml(_title(segment))}</title>'
            f'<path class="flight" d="M{flight}"/>'
            f"{_tip(points, is_lost=segment.is_lost)}"
            f"{_written(points, label(segment))}</g>"
        )


def _digits(time: float) -> int:
    """Return how many digits after the point a time needs."""
    return len(f"{time:.{_DIGITS}f}".rstrip("0").partition(".")[2])


def _tip(points: list[tuple[float, float]], *, is_lost: bool) -> str:
    """Draw what an arrow ends in: a head, or a cross for a lost segment."""
    x, y = points[-1]
    if is_lost:
        cross = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
        return f'<path class="cross" d="{cross}"/>'
    angle = _angle(list(pairwise(points))[-1])
    place = f"translate({x:.1f} {y:.1f}) rotate({angle:.1f})"
    return f'<path class="head" transform="{place}" d="M0 0L-9 -4V4Z"/>'


def _written(points: list[tuple[float, float]], words: str) -> str:
    """Write along an arrow, near its start, where fewer of them cross."""
    (x, y), (to_x, to_y) = points[:2]
    if len(points) > 2:  # noqa: PLR2004 - out and back
        return f'<text x="{to_x + 7:.1f}" y="{to_y + 4:.1f}">{_xml(words)}</text>'
    angle = _angle(((x, y), (to_x, to_y)))
    if abs(angle) > 90:  # noqa: PLR2004 - degrees: words would stand on their head
        angle += 180
    at_x, at_y = x + (to_x - x) * 0.42, y + (to_y - y) * 0.42
    return (
        f'<text text-anchor="middle" transform="translate({at_x:.1f} {at_y:.1f}) '
        f'rotate({angle:.1f})" y="-4">{_xml(words)}</text>'
    )


def _angle(line: tuple[tuple[float, float], tuple[float, float]]) -> float:
    (x, y), (to_x, to_y) = line
    return math.degrees(math.atan2(to_y - y, to_x - x))


def _title(segment: Segment) -> str:
    arrived = "" if segment.arrived is None else f", arrived {segment.arrived:.6f}"
    payload = f"\n{excerpt(segment.payload, 200)}" if segment.payload else ""
    return f"{segment}{arrived}{payload}"


def _xml(text: str) -> str:
    """Escape text; what XML cannot hold at all is spelled as in Python."""
    spelled = "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1]
        for char in text
    )
    return escape(spelled)
