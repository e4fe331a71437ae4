from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.traces.conversations import clean_trace, troubled_trace
from trio_tcp.testing.traces import Endpoint, Segment, SegmentOptions

Change = Callable[[Segment], object]

# One for each field: what makes it another value.
CHANGES: dict[str, Change] = {
    "time": lambda s: s.time + 1e-9,
    "source": lambda s: Endpoint(s.source.ip, s.source.port + 1),
    "destination": lambda s: Endpoint("192.0.2.200", s.destination.port),
    "sender": lambda s: s.sender + "x",
    "receiver": lambda s: s.receiver + "x",
    "flags": lambda s: s.flags ^ 8,
    "seq": lambda s: s.seq ^ 1,
    "ack": lambda s: s.ack ^ 1,
    "window": lambda s: s.window + 1,
    "payload": lambda s: s.payload + b"\0",
    "options": lambda s: None if s.options else SegmentOptions(1, 1),
    "arrived": lambda s: (s.arrived or 0.0) + 1e-9,
    "fate": lambda s: s.fate + "?",
}
OUTSIDE_SHAPE = {
    "source",
    "destination",
    "seq",
    "ack",
    "window",
    "options",
}


def test_there_is_a_change_for_each_field() -> None:
    assert set(CHANGES) == set(Segment.__slots__)


def test_equal_traces_do_not_differ() -> None:
    ours, theirs = troubled_trace(), troubled_trace()
    assert ours.digest() == theirs.digest()
    assert ours.diff(theirs) is None


@given(name=st.sampled_from(sorted(CHANGES)), index=st.integers(0, 16))
def test_any_changed_field_is_seen(name: str, index: int) -> None:
    ours, theirs = troubled_trace(), troubled_trace()
    changed = theirs.segments[index]
    setattr(changed, name, CHANGES[name](changed))
    assert ours.digest() != theirs.digest()
    difference = ours.diff(theirs)
    assert difference is not None
    assert difference.index == index
    assert difference.fields == (name,)
    assert difference.ours is ours.segments[index]
    assert difference.theirs is changed
    same_shape = ours.digest(payload=False) == theirs.digest(payload=False)
    assert same_shape == (name in OUTSIDE_SHAPE)
    assert (ours.diff(theirs, payload=False) is None) == same_shape


def test_the_shape_of_other_bytes_is_the_same() -> None:
    ours, theirs = clean_trace(), clean_trace()
    theirs.segments[3].payload = b"7 * 6?\n"
    assert ours.digest() != theirs.digest()
    assert ours.digest(payload=False) == theirs.digest(payload=False)
    assert ours.diff(theirs, payload=False) is None


@given(cut=st.integers(0, 10))
def test_a_trace_that_ends_sooner_differs_where_it_ends(cut: int) -> None:
    ours, theirs = clean_trace(), clean_trace()
    del theirs.segments[cut:]
    difference = ours.diff(theirs)
    assert difference is not None
    assert difference.index == cut
    assert difference.theirs is None
    assert difference.ours is ours.segments[cut]
    assert "(no more segments)" in str(difference)
    reverse = theirs.diff(ours)
    assert reverse is not None
    assert reverse.ours is None


@given(
    parts=st.lists(st.binary(max_size=3), min_size=2, max_size=2),
    others=st.lists(st.binary(max_size=3), min_size=2, max_size=2),
)
def test_where_one_segment_ends_and_the_next_begins_matters(
    parts: list[bytes], others: list[bytes]
) -> None:
    ours, theirs = clean_trace(), clean_trace()
    for trace, payloads in ((ours, parts), (theirs, others)):
        trace.segments[4].payload, trace.segments[5].payload = payloads
    assert (ours.digest() == theirs.digest()) == (parts == others)


def test_a_digest_is_the_same_in_each_process() -> None:
    """These were written down: whoever changes them breaks with older runs."""
    assert clean_trace().digest() == "6d49768644ed238ad71d8f2de27e36c8"
    assert clean_trace().digest(payload=False) == "5fff95bf7252ce0248d4a95a008d7a6a"


def test_the_report_says_what_differs_and_what_came_before() -> None:
    ours, theirs = clean_trace(), clean_trace()
    theirs.segments[5].payload = b"43\n"
    theirs.segments[5].window = 7
    report = str(ours.diff(theirs))
    assert report.splitlines()[0] == (
        "The traces differ at segment 5 (window, payload):"
    )
    assert "... 2 the same" in report
    for segment in ours.segments[2:5]:
        assert str(segment) in report
    assert str(ours.segments[1]) not in report
    assert "payload: b'42\\n' became b'43\\n'" in report
    assert "window: 65535 became 7" in report


@pytest.mark.parametrize("payload", [True, False])
def test_numbers_that_are_equal_have_one_digest(payload: bool) -> None:
    ours = clean_trace()
    theirs = copy.deepcopy(ours)
    theirs.segments[0].time = -0.0
    for segment in theirs.segments:
        segment.flags = int(segment.flags)
    assert ours.diff(theirs, payload=payload) is None
    assert ours.digest(payload=payload) == theirs.digest(payload=payload)
