"""Whatever comes, and however it is cut: a valid header, or an error of framing."""

from __future__ import annotations

import ipaddress
import random
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.proxy_protocol.headers import (
    IPV4_BLOCK,
    IPV6_BLOCK,
    UNIX_BLOCK,
    VALID,
    decode,
    one_by_one,
    tlv,
    version_2,
    with_checksum,
)
from trio_tcp import InvalidFrameError, TcpAddress, UnixAddress

if TYPE_CHECKING:
    from trio_tcp import Address


KNOWN = [cast("bytes", case.values[0]) for case in VALID]
BLOCKS = [
    (0x11, IPV4_BLOCK),
    (0x12, IPV4_BLOCK),
    (0x21, IPV6_BLOCK),
    (0x31, UNIX_BLOCK),
]
PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535))
TLVS = st.lists(
    st.builds(tlv, st.sampled_from([1, 2, 4, 5, 0x20, 0xEA]), st.binary(max_size=50))
).map(b"".join)
PIECES = st.one_of(
    st.binary(max_size=3),
    st.sampled_from([b" ", b":", b".", b"0", b"\r", b"\n", b"\r\n", b"%", b"/"]),
)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Draw a valid header of any kind."""
    match draw(st.sampled_from(["known", "TCP4", "TCP6", "binary", "checksum"])):
        case "known":
            return draw(st.sampled_from(KNOWN))
        case "TCP4":
            hosts = [str(draw(st.ip_addresses(v=4))) for _ in range(2)]
            return line("TCP4", hosts, draw(PORTS))
        case "TCP6":
            ips = [draw(st.ip_addresses(v=6)) for _ in range(2)]
            hosts = [
                draw(st.sampled_from([str(ip), ip.exploded, str(ip).upper()]))
                for ip in ips
            ]
            return line("TCP6", hosts, draw(PORTS))
        case "binary":
            kind, block = draw(st.sampled_from(BLOCKS))
            command = draw(st.sampled_from([0x20, 0x21, 0x21]))
            return version_2(block + draw(TLVS), kind=kind, command=command)
        case _:
            return with_checksum(draw(TLVS), draw(TLVS))


def line(family: str, hosts: list[str], ports: tuple[int, int]) -> bytes:
    return " ".join(["PROXY", family, *hosts, *map(str, ports)]).encode() + b"\r\n"


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a header with bytes behind it, damaged in up to three places."""
    stream = draw(headers())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, min(len(stream), 300)))
        removed = draw(st.integers(0, 3))
        stream = stream[:at] + draw(PIECES) + stream[at + removed :]
    return stream + draw(st.binary(max_size=30))


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    chunks: list[bytes] = []
    for size in sizes:
        chunks.append(stream[:size])
        stream = stream[size:]
    return [chunk for chunk in [*chunks, stream] if chunk]


def outcome(chunks: list[bytes]) -> tuple[object, ...]:
    header, rest, error = decode(*chunks)
    return header, rest, type(error), error and error.args


@given(streams(), st.lists(st.integers(1, 40), max_size=20))
def test_however_the_bytes_are_cut_the_outcome_is_the_same(
    stream: bytes, sizes: list[int]
) -> None:
    whole = outcome([stream] if stream else [])
    assert outcome(cut(stream, sizes)) == whole
    assert outcome(one_by_one(stream)) == whole


def is_valid(address: Address | None) -> bool:
    match address:
        case None:
            return True
        case TcpAddress(host, port):
            ip = ipaddress.ip_address(host)
            return "%" not in str(ip) and 0 <= port <= 65535
        case UnixAddress(path):
            return len(path.encode("utf-8")) <= 4 * 108


@given(streams())
@example(b"PROXY TCP6 ::1%1 ::1%1 1 1\r\n")
@example(b"PROXY TCP4 1.2.3.4\n 1.2.3.4 1 1\r\n")
@example("PROXY TCP4 1.2.3.4 1.2.3.4 1 \u0661\r\n".encode())
def test_damage_gives_a_framing_error_or_a_valid_header_and_nothing_else(
    stream: bytes,
) -> None:
    header, _, error = decode(*[stream] * bool(stream))
    assert (header is None) or (error is None)
    if header is not None:
        assert is_valid(header.source)
        assert is_valid(header.destination)
        assert (header.source is None) == (header.destination is None)
        assert type(header.source) is type(header.destination)


@pytest.mark.parametrize("family", [b"TCP4", b"TCP6"])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_refused_can_still_become_a_line(family: bytes, seed: int) -> None:
    walk = random.Random(seed)
    alphabet = [bytes([byte]) for byte in b"012f:. \r\n"]
    line, whole = b"PROXY " + family + b" ", False
    while not whole and len(line) < 107:
        # Any next byte that is not refused. There always is one.
        walk.shuffle(alphabet)
        line += next(
            byte
            for byte in alphabet
            if not isinstance(decode(line + byte, end=False)[2], InvalidFrameError)
        )
        whole = decode(line, end=False)[0] is not None
