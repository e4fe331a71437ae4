"""Captures that Wireshark opens: IP packets in a classic pcap file.

Segments are written in the order in which they were sent, which is causal: an answer
never stands before its question, so that Wireshark's analysis stays quiet.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from trio_tcp.testing.traces._conversation import conversation_of_each
from trio_tcp.testing.traces._segment import Flag, Segment

__all__ = ["EPOCH", "to_pcap"]

EPOCH: Final = 946_684_800
"""The start of 2000, in Unix time: when simulations begin."""

_NANOSECOND_MAGIC: Final = 0xA1B23C4D
_RAW_IP: Final = 101
_SNAPLEN: Final = 262_144
_TCP: Final = 6
_HOPS: Final = 64
_DO_NOT_FRAGMENT: Final = 0x4000
_LARGEST_WINDOW: Final = 0xFFFF

_PREAMBLE: Final = struct.pack(
    ">IHHiIII", _NANOSECOND_MAGIC, 2, 4, 0, 0, _SNAPLEN, _RAW_IP
)


def to_pcap(segments: Sequence[Segment]) -> bytes:
    """Return a capture of the segments, with nanoseconds."""
    addresses: dict[str, bytes] = {}
    records = [_PREAMBLE]
    owners = conversation_of_each(segments)
    for segment, owner in zip(segments, owners, strict=True):
        for ip in (segment.source.ip, segment.destination.ip):
            if ip not in addresses:
                addresses[ip] = ip_address(ip).packed
        source, target = addresses[segment.source.ip], addresses[segment.destination.ip]
        shift = owner.window_shift(segment.source)
        tcp = _tcp_packet(segment, source + target, shift)
        packet = _ip_header(source, target, len(tcp)) + tcp
        seconds, nanoseconds = divmod(round(segment.time * 1e9), 10**9)
        size = len(packet)
        records.append(
            struct.pack(">IIII", EPOCH + seconds, nanoseconds, size, size) + packet
        )
    return b"".join(records)


def _tcp_packet(segment: Segment, addresses: bytes, shift: int) -> bytes:
    """Return header (RFC 9293, 3.1) and payload, with the checksum over both."""
    is_syn = segment.flags & Flag.SYN
    window = segment.window if is_syn else segment.window >> shift
    options = b""
    if segment.options is not None:
        # The byte between them pads: a header is a multiple of four bytes.
        mss, scale = segment.options
        options = struct.pack(">BBHBBBB", 2, 4, mss, 1, 3, 3, scale)
    fields = (
        segment.source.port,
        segment.destination.port,
        segment.seq,
        segment.ack,
        (20 + len(options)) // 4 << 4,
        segment.flags,
        min(window, _LARGEST_WINDOW),
    )
    tail = options + segment.payload
    length = 20 + len(tail)
    pseudo_header = addresses + struct.pack(">II", length, _TCP)
    unsummed = struct.pack(">HHIIBBHHH", *fields, 0, 0)
    checksum = _checksum(pseudo_header + unsummed + tail)
    return struct.pack(">HHIIBBHHH", *fields, checksum, 0) + tail


def _ip_header(source: bytes, target: bytes, length: int) -> bytes:
    if len(source) == 16:  # noqa: PLR2004 - the bytes of an IPv6 address
        return struct.pack(">IHBB", 6 << 28, length, _TCP, _HOPS) + source + target
    fields = (0x45, 0, 20 + length, 0, _DO_NOT_FRAGMENT, _HOPS, _TCP)
    unsummed = struct.pack(">BBHHHBBH", *fields, 0) + source + target
    return struct.pack(">BBHHHBBH", *fields, _checksum(unsummed)) + source + target


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071).

    A sum of 16-bit words with the carries added back is the number that the bytes
    spell modulo 65,535.
    """
    if len(data) % 2:
        data += b"\0"
    return -int.from_bytes(data, "big") % 0xFFFF
