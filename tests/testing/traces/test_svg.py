"""The picture as XML: what is in it, and that nothing in a trace can break it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.traces.conversations import (
    ALICE,
    BOB,
    Talk,
    clean_trace,
    troubled_trace,
)
from trio_tcp.testing.traces import FaultSpan, Flag, Note, Trace
from trio_tcp.testing.traces._svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"


def picture(trace: Trace) -> ET.Element:
    text = to_svg(trace.segments, trace.faults, trace.hosts, trace.notes, title="a < b")
    return ET.fromstring(text)


def of_class(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element.iter() if name in child.get("class", "").split()]


def texts(elements: list[ET.Element]) -> list[str]:
    return ["".join(element.itertext()) for element in elements]


def test_the_picture_is_written_to_a_file(tmp_path: Path) -> None:
    clean_trace().to_svg(tmp_path / "trace.svg")
    root = ET.parse(tmp_path / "trace.svg").getroot()
    assert root is not None
    assert root.tag == f"{SVG}svg"


def test_who_cannot_see_it_is_told_what_it_shows() -> None:
    root = picture(troubled_trace())
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "alice, bob, carol" in (description.text or "")


def test_it_has_all_hosts_segments_and_faults() -> None:
    trace = troubled_trace()
    root = picture(trace)
    assert texts(of_class(root, "host")) == ["alice", "bob", "carol"]
    assert len(of_class(root, "lifeline")) == 3
    assert len(of_class(root, "segment")) == len(trace)
    assert texts(of_class(root, "fault")) == ["Partition()", "Pause()"]
    assert len(of_class(root, "band")) == 3


def test_what_is_lost_ends_in_a_cross_and_only_that() -> None:
    trace = troubled_trace()
    arrows = of_class(picture(trace), "segment")
    crossed = [bool(of_class(arrow, "cross")) for arrow in arrows]
    assert crossed == [segment.is_lost for segment in trace]


def test_a_long_silence_is_cut_and_marked() -> None:
    root = picture(troubled_trace())
    assert len(of_class(root, "cut")) == 1
    assert "60.01 s idle" in texts(of_class(root, "time"))
    assert float(root.get("height", "inf")) < 1200
    assert not of_class(picture(clean_trace()), "cut")


def test_an_arrow_says_what_it_carries() -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.send(ALICE, Flag.FIN | Flag.PSH | Flag.ACK, b"bye\n", fate="held")
    talk.send(BOB, Flag.PSH | Flag.ACK, b"0123456789" * 5)
    root = picture(trace)
    labels = [
        "".join(text.itertext())
        for arrow in of_class(root, "segment")
        for text in arrow.findall(f"{SVG}text")
    ]
    assert labels == [
        "SYN",
        "SYN ACK",
        "ACK",
        "FIN 4 B bye\\n (held)",
        "50 B 012345678901234…",
    ]


def test_a_window_that_is_shut_is_told_and_that_of_a_reset_is_not() -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.send(BOB, Flag.ACK).window = 0
    talk.send(BOB, Flag.RST).window = 0
    shut, reset = texts(of_class(picture(trace), "segment"))[-2:]
    assert "ACK, window 0" in shut
    assert "window 0" not in reset


def test_a_host_that_nothing_happens_to_has_no_lifeline() -> None:
    trace = clean_trace()
    trace.hosts = {"192.0.2.7": "idle", "192.0.2.8": "paused", **trace.hosts}
    trace.faults.append(FaultSpan("Pause()", "paused", ("paused",), 0.0))
    root = picture(trace)
    assert texts(of_class(root, "host")) == ["paused", "alice", "bob"]


def test_a_fault_on_everything_gives_no_lifeline_to_a_host_without_segments() -> None:
    trace = clean_trace()
    trace.hosts = {"192.0.2.7": "idle", **trace.hosts}
    hosts = tuple(trace.hosts.values())
    trace.faults.append(FaultSpan("Reset()", "everything", hosts, 0.01, 0.01))
    root = picture(trace)
    assert texts(of_class(root, "host")) == ["alice", "bob"]
    assert len(of_class(root, "band")) == 2
    [name] = of_class(root, "fault")
    first = of_class(root, "lifeline")[0]
    assert float(name.get("x", "nan")) < float(first.get("x1", "nan"))


def test_a_fault_of_hosts_that_nobody_knows_is_no_band() -> None:
    trace = clean_trace()
    trace.faults.append(FaultSpan("Pause()", "zoe", ("zoe",), 0.0))
    assert of_class(picture(trace), "band") == []


def test_segments_of_one_instant_have_rows_of_their_own() -> None:
    trace = Trace()
    talk = Talk(trace, latency=0.0)
    talk.open()
    flights = of_class(picture(trace), "flight")
    starts = [float(flight.get("d", "").split("L")[0].split()[1]) for flight in flights]
    assert starts[0] + 15 < starts[1] < starts[2] - 15


def test_what_arrives_at_one_instant_does_not_run_together() -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    for _ in range(3):
        talk.say(ALICE, b"x")
    for segment in trace:
        segment.time, segment.arrived = 0.0, 1.0
    ends: dict[str, list[float]] = {"alice": [], "bob": []}
    for segment, flight in zip(trace, of_class(picture(trace), "flight"), strict=True):
        end = flight.get("d", "").rpartition("L")[2]
        ends[segment.receiver].append(float(end.split()[1]))
    for heights in ends.values():
        assert all(one + 15 < other for one, other in pairwise(heights))
    assert [len(heights) for heights in ends.values()] == [4, 5]


def noted_trace() -> Trace:
    trace = clean_trace()
    trace.notes = [
        Note(0.0, "alice", "connect", 0),
        Note(0.03, "alice", "send('6 * 7?')", 3),
        Note(0.03, "alice", "receive()", 4),
        Note(0.04, "bob", "<got it>", 4),
    ]
    return trace


def test_notes_stand_on_the_outer_side_of_their_lifelines() -> None:
    root = picture(noted_trace())
    assert texts(of_class(root, "note")) == [note.text for note in noted_trace().notes]
    lines = [float(line.get("x1", "nan")) for line in of_class(root, "lifeline")]
    places = [float(note.get("x", "nan")) for note in of_class(root, "note")]
    assert all(x < lines[0] for x in places[:3])
    assert lines[1] < places[3]
    width = float(root.get("width", "nan"))
    assert width > float(picture(clean_trace()).get("width", "nan"))


def test_a_note_stands_where_the_segment_starts_that_it_causes() -> None:
    root = picture(noted_trace())
    heights = [float(note.get("y", "nan")) for note in of_class(root, "note")]
    flights = [path.get("d", "") for path in of_class(root, "flight")]
    starts = [float(flight.split("L")[0].split()[1]) for flight in flights]
    assert heights[:2] == [starts[0] + 4, starts[3] + 4]
    assert heights[1] + 15 < heights[2]


def test_times_have_as_many_digits_as_one_of_them_needs() -> None:
    root = picture(clean_trace())
    assert texts(of_class(root, "time"))[:3] == ["seconds", "0.00", "0.01"]


def test_it_is_called_what_it_is_told() -> None:
    assert picture(Trace()).findtext(f"{SVG}title") == "a < b"


def test_it_is_dark_where_the_reader_wants_it_dark() -> None:
    assert "prefers-color-scheme: dark" in "".join(picture(Trace()).itertext())


@given(name=st.text(max_size=8), payload=st.binary(max_size=40))
def test_anything_may_be_sent_and_anybody_may_send_it(
    name: str, payload: bytes
) -> None:
    trace = Trace()
    talk = Talk(trace, names=(name, "bob"))
    talk.open()
    talk.say(ALICE, payload)
    talk.send(BOB, Flag.RST, fate=name)
    trace.faults.append(FaultSpan(name, name, (name,), 0.0, 0.01))
    root = picture(trace)
    assert len(of_class(root, "segment")) == len(trace)
    assert "\x00" not in "".join(root.itertext())


@pytest.mark.parametrize("payload", [b"</text></svg>", b"<script>alert(1)</script>"])
def test_markup_in_a_payload_stays_text(payload: bytes) -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.say(ALICE, payload)
    root = picture(trace)
    assert root.find(f".//{SVG}script") is None
    assert any(payload[:8].decode() in text for text in texts(of_class(root, "data")))


def test_a_trace_of_nothing_is_an_empty_picture() -> None:
    assert of_class(picture(Trace()), "segment") == []
