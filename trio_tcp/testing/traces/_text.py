"""A trace as lines of text: hosts, segments and faults as they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trio_tcp.testing.traces._conversation import Conversation, conversation_of_each
from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._note import Note, place_among
from trio_tcp.testing.traces._segment import Flag, Segment
from trio_tcp.testing.traces._words import excerpt

__all__ = ["to_text"]


def to_text(
    segments: Sequence[Segment],
    faults: Iterable[FaultSpan],
    hosts: Mapping[str, str],
    notes: Iterable[Note],
) -> str:
    """Return a line for each host, segment, note, begin and end of a fault."""
    owners = conversation_of_each(segments)
    # Faults first: they are why the segments of the same instant fare as they do.
    events = [(time, -1.0, line) for time, line in _fault_lines(faults)]
    events += [
        (segment.time, index, _segment_line(segment, owner))
        for index, (segment, owner) in enumerate(zip(segments, owners, strict=True))
    ]
    events += [
        (note.time, place_among(note), f"-- {note.host}: {note.text}") for note in notes
    ]
    events.sort(key=lambda event: event[:2])
    lines = [f"host {name} at {address}" for address, name in hosts.items()]
    lines += [f"{time:12.6f}  {line}" for time, _, line in events]
    return "".join(f"{line}\n" for line in lines)


def _fault_lines(faults: Iterable[FaultSpan]) -> Iterable[tuple[float, str]]:
    for fault in faults:
        yield fault.begin, f"-- {fault.name} on {fault.where} begins"
        if fault.end is not None:
            yield fault.end, f"-- {fault.name} on {fault.where} ends"


def _segment_line(segment: Segment, conversation: Conversation) -> str:
    seq, ack = conversation.relative(segment)
    words = [
        f"{segment.sender}:{segment.source.port}",
        ">",
        f"{segment.receiver or segment.destination.ip}:{segment.destination.port}",
        f"[{segment.flag_names}]",
        f"seq {seq}",
    ]
    if segment.flags & Flag.ACK:
        words.append(f"ack {ack}")
    words.append(f"win {segment.window}")
    if segment.options is not None:
        words.append(f"mss {segment.options.mss} scale {segment.options.window_scale}")
    if segment.payload:
        words.append(f"length {len(segment.payload)}: {excerpt(segment.payload, 48)}")
    if segment.arrived is not None:
        words.append(f"(arrived {segment.arrived:.6f})")
    if segment.fate:
        words.append(f"({segment.fate})")
    return " ".join(words)
