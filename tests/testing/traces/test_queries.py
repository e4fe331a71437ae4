from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.testing.traces.conversations import (
    ALICE,
    BOB,
    Talk,
    clean_trace,
    troubled_trace,
)
from trio_tcp.testing.traces import Endpoint, Flag, Trace


def test_a_trace_is_its_segments() -> None:
    trace = clean_trace()
    assert len(trace) == 11
    assert list(trace) == trace.segments


def test_segments_are_selected_by_all_that_is_asked_for() -> None:
    trace = troubled_trace()
    everything = trace.select()
    assert everything == trace.segments
    by_bob = trace.select(sender="bob")
    assert by_bob == [s for s in trace if s.sender == "bob"]
    assert trace.select(sender="bob", receiver="carol") == [
        s for s in by_bob if s.receiver == "carol"
    ]
    assert trace.count(sender="bob", receiver="carol", flags=Flag.SYN) == 1


def test_flags_are_found_beside_others() -> None:
    trace = clean_trace()
    assert trace.count(flags=Flag.SYN) == 2
    assert trace.count(flags=Flag.SYN | Flag.ACK) == 1
    assert trace.count(flags=Flag.FIN) == 2


def test_a_port_counts_at_either_end() -> None:
    trace = troubled_trace()
    assert {s.source.port for s in trace.select(port=443)} == {443, 50000}
    assert trace.count(port=4) == 0


def test_what_has_not_arrived_for_a_reason_is_lost() -> None:
    trace = troubled_trace()
    assert [s.fate for s in trace.lost] == ["cut", "no such host"]
    assert clean_trace().lost == []
    on_its_way = clean_trace()
    on_its_way.segments[-1].arrived = None
    assert on_its_way.lost == []


def test_the_payload_is_what_went_one_way() -> None:
    trace = clean_trace()
    assert trace.payload("alice", "bob") == b"6 * 7?\n"
    assert trace.payload("bob", "alice") == b"42\n"
    assert trace.payload("alice", "carol") == b""


def test_the_payload_of_a_host_with_itself_is_both_ways() -> None:
    trace = Trace()
    local, server = Endpoint("127.0.0.1", 5), Endpoint("127.0.0.1", 6)
    talk = Talk(trace, client=local, server=server, names=("alice", "alice"))
    talk.open()
    talk.say(server, b"world")
    talk.say(local, b"hello ")
    assert trace.payload("alice", "alice") == b"hello world"
    [connection] = trace.connections
    assert connection.payload(server) == b"world"


@given(
    payload=st.binary(min_size=1, max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 20)), max_size=12),
)
def test_what_is_sent_again_counts_once(
    payload: bytes, cuts: list[tuple[int, int]]
) -> None:
    """Send the bytes in order, and at each cut some of the last ones once more."""
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    begin = talk.seq[ALICE]  # it wraps around within the first bytes
    sent = 0
    for cut, again in [*sorted(cuts), (len(payload), 0)]:
        if not sent <= cut <= len(payload):
            continue
        start = max(0, sent - again)
        talk.seq[ALICE] = (begin + start) % 2**32
        talk.send(ALICE, Flag.ACK, payload[start:cut])
        sent = cut
    assert trace.payload("alice", "bob") == payload


def test_a_conversation_ends_where_its_ports_are_used_again() -> None:
    trace = Trace()
    for number in range(2):
        talk = Talk(trace)
        talk.now = 10.0 * number
        talk.seq[ALICE] = number
        talk.open()
        talk.say(ALICE, b"%d" % number)
    first, second = trace.connections
    assert first.segments + second.segments == trace.segments
    assert (first.payload(ALICE), second.payload(ALICE)) == (b"0", b"1")
    assert trace.payload("alice", "bob") == b"01"


def test_a_handshake_that_is_sent_again_is_one_conversation() -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.send(ALICE, Flag.SYN, fate="lost", lost=True)
    talk.seq[ALICE] -= 1
    talk.open()
    [connection] = trace.connections
    assert (connection.client, connection.server) == (ALICE, BOB)
    assert len(connection.segments) == 4


def test_numbers_are_counted_from_the_handshake() -> None:
    trace = clean_trace()
    [connection] = trace.connections
    assert [connection.relative(segment) for segment in trace][:6] == [
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 1),
        (1, 8),
        (1, 8),
    ]
