"""Captures, read back by a reader that shares nothing with what writes them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.traces.conversations import (
    ALICE,
    BOB,
    Talk,
    clean_trace,
    troubled_trace,
)
from trio_tcp.testing.traces import (
    Endpoint,
    Flag,
    Segment,
    SegmentOptions,
    Trace,
)


@attrs.frozen
class Packet:
    nanoseconds: int
    source: Endpoint
    destination: Endpoint
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes
    payload: bytes


def capture(trace: Trace) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "trace.pcap")
        trace.to_pcap(path)
        return path.read_bytes()


def read(data: bytes) -> Iterator[Packet]:
    magic, major, minor, _, _, snap, kind = struct.unpack(">IHHiIII", data[:24])
    assert (magic, major, minor, kind) == (0xA1B23C4D, 2, 4, 101)
    place = 24
    while place < len(data):
        seconds, nanoseconds, size, whole = struct.unpack_from(">IIII", data, place)
        assert size == whole <= snap
        packet = data[place + 16 : place + 16 + size]
        assert len(packet) == size
        yield parse(packet, seconds * 10**9 + nanoseconds)
        place += 16 + size


def parse(packet: bytes, nanoseconds: int) -> Packet:
    if packet[0] >> 4 == 6:
        length, protocol = struct.unpack_from(">HB", packet, 4)
        addresses, tcp = packet[8:40], packet[40:]
    else:
        assert packet[0] == 0x45
        assert summed(packet[:20]) == 0xFFFF
        length, protocol = len(packet) - 20, packet[9]
        assert struct.unpack_from(">H", packet, 2) == (len(packet),)
        addresses, tcp = packet[12:20], packet[20:]
    assert (length, protocol) == (len(tcp), 6)
    pseudo = addresses + struct.pack(">IHBB", len(tcp), 0, 0, 6)
    assert summed(pseudo + tcp) == 0xFFFF
    source, target, seq, ack, offset, flags, window = struct.unpack_from(
        ">HHIIBBH", tcp
    )
    half = len(addresses) // 2
    return Packet(
        nanoseconds,
        Endpoint(str(ipaddress.ip_address(addresses[:half])), source),
        Endpoint(str(ipaddress.ip_address(addresses[half:])), target),
        seq,
        ack,
        flags,
        window,
        tcp[20 : offset // 16 * 4],
        tcp[offset // 16 * 4 :],
    )


def summed(data: bytes) -> int:
    """Add up as RFC 1071 tells it, word by word."""
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
ports = st.integers(0, 65535)
numbers = st.integers(0, 2**32 - 1)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    source, target = draw(addresses)
    return Segment(
        draw(st.integers(0, 10**15)) / 1e9,
        Endpoint(str(source), draw(ports)),
        Endpoint(str(target), draw(ports)),
        "a",
        "b",
        draw(st.integers(0, 31)) & ~Flag.SYN,
        draw(numbers),
        draw(numbers),
        draw(ports),
        draw(st.binary(max_size=300)),
    )


@given(st.lists(segments(), max_size=5))
def test_what_is_written_can_be_read_back(sent: list[Segment]) -> None:
    trace = Trace()
    trace.segments += sent
    packets = list(read(capture(trace)))
    assert len(packets) == len(sent)
    for packet, segment in zip(packets, sent, strict=True):
        assert packet == Packet(
            946_684_800 * 10**9 + round(segment.time * 1e9),
            segment.source,
            segment.destination,
            segment.seq,
            segment.ack,
            segment.flags,
            segment.window,
            b"",
            segment.payload,
        )


def test_a_syn_offers_segment_size_and_window_scale() -> None:
    packets = list(read(capture(clean_trace())))
    assert [len(packet.options) for packet in packets] == [8, 8] + [0] * 9
    options = packets[0].options
    assert options[:4] == struct.pack(">BBH", 2, 4, 1460)
    assert options[5:] == bytes([3, 3, 7])


@given(
    scales=st.tuples(st.integers(0, 14), st.integers(0, 14)),
    window=st.integers(0, 2**30),
)
def test_windows_are_scaled_each_way_by_its_own_shift(
    scales: tuple[int, int], window: int
) -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.say(ALICE, b"hello")
    for segment, scale in zip(trace.segments, scales, strict=False):
        segment.options = SegmentOptions(1460, scale)
    for segment in trace:
        segment.window = window
    for packet in read(capture(trace)):
        shift = scales[0] if packet.source == ALICE else scales[1]
        on_a_syn = packet.flags & Flag.SYN
        assert packet.window == min(65535, window if on_a_syn else window >> shift)


def test_windows_are_not_scaled_where_only_one_end_offers_it() -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    trace.segments[1].options = None
    trace.segments[2].window = 40_000
    assert list(read(capture(trace)))[2].window == 40_000


def test_each_conversation_has_its_own_shift() -> None:
    trace = Trace()
    for scale in (3, 9):
        talk = Talk(trace, scale=scale)
        talk.now = scale * 10.0
        talk.seq[ALICE] = scale
        talk.open()
        talk.send(BOB, Flag.ACK)
    windows = [packet.window for packet in read(capture(trace))]
    assert [windows[3], windows[7]] == [65535 >> 3, 65535 >> 9]


def test_what_was_lost_is_in_the_capture() -> None:
    trace = troubled_trace()
    packets = list(read(capture(trace)))
    assert [packet.payload for packet in packets] == [s.payload for s in trace]
    assert {packet.source.ip for packet in packets} >= {"2001:db8::2", "192.0.2.1"}
