"""The PROXY protocol: whose header is believed, and what is one."""

from __future__ import annotations

import ipaddress
import math
import random
import socket
import struct
from typing import TYPE_CHECKING, cast

import attrs
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trio_tcp import (
    FrameTooLargeError,
    FramingError,
    InvalidFrameError,
    TcpAddress,
    TruncatedError,
    UnixAddress,
)
from trio_tcp._proxy_header import ProxyHeader, ProxyHeaders, _crc32c
from trio_tcp._proxy_protocol import ProxyProtocol, read_proxy_header
from trio_tcp._transport import make_transport
from trio_tcp.codecs import Decoder, NeedMore
from trio_tcp.testing import memory_stream_pair

if TYPE_CHECKING:
    from trio_tcp import Address

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
IPV4_BLOCK = bytes.fromhex("C0000201 C6336402 9C40 01BB")
IPV6_BLOCK = ipaddress.IPv6Address("2001:db8::1").packed * 2 + b"\0\1\xff\xff"
UNIX_BLOCK = b"/run/a.sock".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")

CLIENT = TcpAddress("192.0.2.1", 40000)
SERVICE = TcpAddress("198.51.100.2", 443)
IPV4 = ProxyHeader(source=CLIENT, destination=SERVICE)
IPV6 = ProxyHeader(
    source=TcpAddress("2001:db8::1", 1), destination=TcpAddress("2001:db8::1", 65535)
)
UNIX = ProxyHeader(
    source=UnixAddress("/run/a.sock"), destination=UnixAddress("\0abstract")
)
NOBODY = ProxyHeader()


def version_2(
    block: bytes = IPV4_BLOCK,
    *,
    command: int = 0x21,
    kind: int = 0x11,
    size: int | None = None,
) -> bytes:
    """Build a binary header; ``size`` may lie."""
    size = len(block) if size is None else size
    return SIGNATURE + struct.pack("!BBH", command, kind, size) + block


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def bit_by_bit(data: bytes) -> int:
    """Divide by the polynomial of CRC32c as the textbook does it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def with_checksum(before: bytes = b"", behind: bytes = b"", *, error: int = 0) -> bytes:
    """Build a binary header that has a checksum between other TLVs."""
    zeros = version_2(IPV4_BLOCK + before + tlv(3, bytes(4)) + behind)
    crc = struct.pack("!I", bit_by_bit(zeros) ^ error)
    return version_2(IPV4_BLOCK + before + tlv(3, crc) + behind)


def checksum_of(header: bytes) -> bytes:
    return header[31:35]


def decode(
    *chunks: bytes, end: bool = True
) -> tuple[ProxyHeader | None, bytes, FramingError | None]:
    """Return the header and what is behind it, or what became of it."""
    decoder = Decoder(ProxyHeaders())
    header: ProxyHeader | NeedMore = NeedMore.NEED_MORE
    try:
        for index, chunk in enumerate(chunks):
            decoder.feed(chunk)
            header = decoder.next_message()
            if not isinstance(header, NeedMore):
                rest = decoder.buffer.unread() + b"".join(chunks[index + 1 :])
                return header, rest, None
        if end:
            decoder.end()
            decoder.next_message()
    except FramingError as error:
        return None, b"", error
    return None, b"", None


def one_by_one(stream: bytes) -> list[bytes]:
    return [stream[n : n + 1] for n in range(len(stream))]


def refused_after(stream: bytes) -> int:
    """Return how many bytes it takes, one at a time, to be refused."""
    decoder = Decoder(ProxyHeaders())
    for count, byte in enumerate(one_by_one(stream), 1):
        decoder.feed(byte)
        try:
            item = decoder.next_message()
        except FramingError:
            return count
        assert isinstance(item, NeedMore)
    raise AssertionError("not refused")


VALID = [
    pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n", IPV4, id="TCP4"),
    pytest.param(
        b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
        ProxyHeader(
            source=TcpAddress("0.0.0.0", 0),
            destination=TcpAddress("255.255.255.255", 65535),
        ),
        id="TCP4 extremes",
    ),
    pytest.param(b"PROXY TCP6 2001:db8::1 2001:db8::1 1 65535\r\n", IPV6, id="TCP6"),
    pytest.param(
        b"PROXY TCP6 2001:DB8:0::0001 2001:0db8:0000:0000:0000:0000:0000:0001 1 65535"
        b"\r\n",
        IPV6,
        id="TCP6, written otherwise",
    ),
    pytest.param(
        b"PROXY TCP6 :: 1:2:3:4:5:6:7:: 0 0\r\n",
        ProxyHeader(
            source=TcpAddress("::", 0),
            destination=TcpAddress(
                socket.inet_ntop(
                    socket.AF_INET6, ipaddress.ip_address("1:2:3:4:5:6:7:0").packed
                ),
                0,
            ),
        ),
        id="TCP6, only colons",
    ),
    pytest.param(
        b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 65535\r\n",
        attrs.evolve(IPV6, source=TcpAddress("::ffff:192.0.2.1", 1)),
        id="TCP6, dots",
    ),
    pytest.param(
        b"PROXY TCP6 "
        + b" ".join([b":".join([b"ffff"] * 8)] * 2)
        + b" 65535 65535\r\n",
        ProxyHeader(
            source=TcpAddress(":".join(["ffff"] * 8), 65535),
            destination=TcpAddress(":".join(["ffff"] * 8), 65535),
        ),
        id="TCP6, longest",
    ),
    pytest.param(b"PROXY UNKNOWN\r\n", NOBODY, id="UNKNOWN"),
    pytest.param(b"PROXY UNKNOWN 1.2.3.4 ? \xff\0\r\n", NOBODY, id="UNKNOWN, more"),
    pytest.param(
        b"PROXY UNKNOWN ".ljust(105, b"f") + b"\r\n", NOBODY, id="UNKNOWN, longest"
    ),
    pytest.param(version_2(), IPV4, id="IPv4"),
    pytest.param(version_2(IPV6_BLOCK, kind=0x21), IPV6, id="IPv6"),
    pytest.param(version_2(UNIX_BLOCK, kind=0x31), UNIX, id="Unix"),
    pytest.param(
        # The first one of HAProxy's reg-tests/connection/proxy_protocol_tlv_validation
        bytes.fromhex(
            "0d0a0d0a000d0a515549540a 21 11 0014 7F000001 7F000001 002A 0539"
            "0200053132333435"
        ),
        ProxyHeader(
            source=TcpAddress("127.0.0.1", 42),
            destination=TcpAddress("127.0.0.1", 1337),
            tlvs=((2, b"12345"),),
        ),
        id="from HAProxy's tests",
    ),
    pytest.param(
        version_2(IPV4_BLOCK + tlv(0xE0, b"") + tlv(4, b"pad") + tlv(0xE0, b"x")),
        attrs.evolve(IPV4, tlvs=((0xE0, b""), (4, b"pad"), (0xE0, b"x"))),
        id="TLVs",
    ),
    pytest.param(
        with_checksum(),
        attrs.evolve(IPV4, tlvs=((3, checksum_of(with_checksum())),)),
        id="checksum",
    ),
    pytest.param(
        version_2(IPV4_BLOCK + tlv(0xEA, bytes(4096 - 16 - 12 - 3))),
        attrs.evolve(IPV4, tlvs=((0xEA, bytes(4065)),)),
        id="longest",
    ),
    pytest.param(version_2(b"", command=0x20, kind=0), NOBODY, id="LOCAL"),
    pytest.param(
        version_2(b"what is this", command=0x20, kind=0xFF), NOBODY, id="LOCAL, more"
    ),
    pytest.param(version_2(command=0x20), NOBODY, id="LOCAL, addresses"),
    pytest.param(
        version_2(IPV4_BLOCK + tlv(3, b"?"), command=0x20), NOBODY, id="LOCAL, TLVs"
    ),
    pytest.param(version_2(b"", kind=0), NOBODY, id="UNSPEC"),
    pytest.param(version_2(b"?", kind=0x10), NOBODY, id="no protocol"),
    pytest.param(version_2(b"?", kind=0x01), NOBODY, id="no family"),
    pytest.param(version_2(kind=0x12), NOBODY, id="UDP over IPv4"),
    pytest.param(version_2(IPV6_BLOCK, kind=0x22), NOBODY, id="UDP over IPv6"),
    pytest.param(version_2(UNIX_BLOCK, kind=0x32), NOBODY, id="Unix datagrams"),
]

# The bytes up to the one at which they must be refused; and what is said about them.
DAMAGED = [
    pytest.param(b"G", r"begins with b'G'", id="HTTP"),
    pytest.param(b"\x16", r"begins with b'\\x16'", id="TLS"),
    pytest.param(b"PO", r"b'PO'", id="POST"),
    pytest.param(b"p", r"b'p'", id="lower case"),
    pytest.param(b" ", r"b' '", id="a space first"),
    pytest.param(b"\n", r"b'\\n'", id="an empty line"),
    pytest.param(b"\r\n\r\n\r", r"b'\\r\\n\\r\\n\\r'", id="empty lines"),
    pytest.param(b"PROXY\t", r"b'PROXY\\t'", id="a tab"),
    pytest.param(b"PROXY  ", r"b'PROXY  '", id="two spaces"),
    pytest.param(b"PROXY TCP5", r"b'PROXY TCP5'", id="TCP5"),
    pytest.param(b"PROXY UD", r"b'PROXY UD'", id="UDP4"),
    pytest.param(b"PROXY TCP4\r", r"b'PROXY TCP4\\r'", id="nothing behind TCP4"),
    pytest.param(b"PROXY UNKNOWNS", r"b'S'", id="a longer word than UNKNOWN"),
    pytest.param(b"PROXY UNKNOWN\n", r"b'\\n'", id="UNKNOWN, no CR"),
    pytest.param(b"PROXY UNKNOWN a\n", r"b' a\\n'", id="UNKNOWN, LF inside"),
    pytest.param(b"PROXY UNKNOWN a\rb", r"b' a\\rb'", id="UNKNOWN, CR inside"),
    pytest.param(b"PROXY TCP4  ", r"source address .* b' '", id="no source"),
    pytest.param(b"PROXY TCP4 256", r"source address .* b'256'", id="256"),
    pytest.param(b"PROXY TCP4 01", r"b'01'", id="a zero first"),
    pytest.param(b"PROXY TCP4 1..", r"b'1\.\.'", id="two dots"),
    pytest.param(b"PROXY TCP4 1.2.3 ", r"b'1\.2\.3 '", id="three numbers"),
    pytest.param(b"PROXY TCP4 1.2.3.4.", r"b'1\.2\.3\.4\.'", id="five numbers"),
    pytest.param(b"PROXY TCP4 1.2.3.4/", r"b'1\.2\.3\.4/'", id="a network"),
    pytest.param(b"PROXY TCP4 \xd9", r"b'\\xd9'", id="digits of another script"),
    pytest.param(b"PROXY TCP4 :", r"b':'", id="IPv6 in TCP4"),
    pytest.param(b"PROXY TCP4 1.2.3.4\r", r"b'1\.2\.3\.4\\r'", id="the source alone"),
    pytest.param(b"PROXY TCP4 1.2.3.4  ", r"destination address", id="two spaces then"),
    pytest.param(b"PROXY TCP4 1.2.3.4 a", r"destination address", id="a name"),
    pytest.param(b"PROXY TCP6 1.", r"source address", id="IPv4 in TCP6"),
    pytest.param(b"PROXY TCP6 g", r"b'g'", id="no digit"),
    pytest.param(b"PROXY TCP6 :::", r"b':::'", id="three colons"),
    pytest.param(b"PROXY TCP6 :1", r"b':1'", id="one colon first"),
    pytest.param(b"PROXY TCP6 1::2::", r"b'1::2::'", id="two gaps"),
    pytest.param(b"PROXY TCP6 ::12345", r"b'::12345'", id="five digits"),
    pytest.param(b"PROXY TCP6 ::1%", r"b'::1%'", id="a zone"),
    pytest.param(b"PROXY TCP6 [", r"b'\['", id="a bracket"),
    pytest.param(b"PROXY TCP6 1:2:3:4:5:6:7:8:", r"b'5:6:7:8:'", id="nine groups"),
    pytest.param(b"PROXY TCP6 1:2:3:4:5:6:7:8.", r"b'5:6:7:8\.'", id="dots too late"),
    pytest.param(b"PROXY TCP6 1:2:3:4:5:6:7 ", r"b'4:5:6:7 '", id="seven groups"),
    pytest.param(b"PROXY TCP6 ::ffff:1.2 ", r"b'fff:1\.2 '", id="dots too few"),
    pytest.param(b"PROXY TCP6 ::1.2.3.256", r"b'\.2\.3\.256'", id="dots too large"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1  ", r"source port", id="no port"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 00", r"b'00'", id="a zero port first"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 -", r"b'-'", id="a minus"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 65536", r"b'65536'", id="65536"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r", r"source port", id="one port"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 \r", r"destination port", id="no 2nd"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2 ", r"b'2 '", id="a space last"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2\n", r"b'2\\n'", id="no CR"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2\r\r", r"b'2\\r\\r'", id="two CR"),
    pytest.param(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2\0", r"b'2\\x00'", id="a NUL"),
    pytest.param(SIGNATURE[:11] + b"\r", r"begins with", id="another signature"),
    pytest.param(SIGNATURE + b"\x11", r"version 1, command 1", id="version 1"),
    pytest.param(SIGNATURE + b"\x31", r"version 3, command 1", id="version 3"),
    pytest.param(SIGNATURE + b"\x22", r"version 2, command 2", id="command 2"),
    pytest.param(SIGNATURE + b"\x2f", r"version 2, command 15", id="command 15"),
    pytest.param(SIGNATURE + b"\x21\x41", r"0x41", id="family 4"),
    pytest.param(SIGNATURE + b"\x21\x13", r"0x13", id="protocol 3"),
    pytest.param(version_2(b"", size=11), r"12 bytes .* not 11", id="IPv4, short"),
    pytest.param(
        version_2(b"", kind=0x21, size=35), r"36 bytes .* not 35", id="IPv6, short"
    ),
    pytest.param(
        version_2(b"", kind=0x31, size=215), r"216 bytes .* not 215", id="Unix, short"
    ),
    pytest.param(version_2(size=13), r"cut off", id="one byte of a TLV"),
    pytest.param(version_2(size=14), r"cut off", id="two bytes of a TLV"),
    pytest.param(
        version_2(IPV4_BLOCK + tlv(2, b"1234"), size=20),
        r"cut off",
        id="a TLV and one byte",
    ),
    pytest.param(
        version_2(IPV4_BLOCK + b"\2\0\6", size=20), r"beyond the end", id="a long TLV"
    ),
    pytest.param(
        version_2(IPV4_BLOCK + b"\3\0\5", size=40), r"of 4 bytes", id="a long checksum"
    ),
    pytest.param(
        version_2(IPV4_BLOCK + tlv(3, bytes(4)) + b"\3\0\4", size=40),
        r"one checksum",
        id="two checksums",
    ),
    pytest.param(with_checksum(error=1), r"checksum .* wrong", id="a wrong checksum"),
    pytest.param(
        with_checksum(b"", tlv(2, b"a"), error=1 << 31),
        r"checksum .* wrong",
        id="a wrong checksum and a TLV behind",
    ),
]

valid = pytest.mark.parametrize(("stream", "header"), VALID)
damaged = pytest.mark.parametrize(("stream", "reason"), DAMAGED)


@valid
def test_a_header_says_whose_connection_it_is(
    stream: bytes, header: ProxyHeader
) -> None:
    assert decode(stream) == (header, b"", None)


@valid
@pytest.mark.parametrize("behind", [b"\0", b"\r\n\r\n", b"PROXY UNKNOWN\r\n", b"GET /"])
def test_what_is_behind_a_header_belongs_to_the_connection(
    stream: bytes, header: ProxyHeader, behind: bytes
) -> None:
    assert decode(stream + behind) == (header, behind, None)


@valid
def test_a_header_may_come_byte_by_byte(stream: bytes, header: ProxyHeader) -> None:
    assert decode(*one_by_one(stream + b"rest")) == (header, b"rest", None)


@valid
def test_a_header_that_is_cut_short_is_waited_for_and_then_truncated(
    stream: bytes, header: ProxyHeader
) -> None:
    del header
    for size in range(1, len(stream)):
        assert decode(stream[:size], end=False) == (None, b"", None)
        _, _, error = decode(stream[:size])
        assert isinstance(error, TruncatedError)
        assert error.received == size


@damaged
def test_a_damaged_header_is_refused_for_its_reason(stream: bytes, reason: str) -> None:
    _, _, error = decode(stream)
    assert type(error) is InvalidFrameError
    with pytest.raises(InvalidFrameError, match=reason):
        raise error


@damaged
def test_it_is_refused_at_the_first_byte_that_cannot_belong_to_a_header(
    stream: bytes, reason: str
) -> None:
    del reason
    assert refused_after(stream + b"0") == len(stream)


@damaged
def test_what_follows_the_wrong_byte_does_not_change_the_reason(
    stream: bytes, reason: str
) -> None:
    del reason
    errors = [
        decode(stream)[2],
        decode(stream + b" 1.2.3.4\r\n" * 20)[2],
        decode(*one_by_one(stream + b"\0" * 200))[2],
    ]
    assert len({str(error) for error in errors}) == 1


@damaged
def test_an_error_repeats_no_more_than_a_few_bytes(stream: bytes, reason: str) -> None:
    del reason
    assert len(str(decode(stream + b"secret" * 1000)[2])) < 100
    assert "secret" not in str(decode(stream + b"secret" * 1000)[2])


@pytest.mark.parametrize(
    ("stream", "numbers", "count"),
    [
        pytest.param(
            b"PROXY UNKNOWN " + b"f" * 94,
            (None, 107, "a PROXY line"),
            107,
            id="no end",
        ),
        pytest.param(
            b"PROXY UNKNOWN".ljust(106) + b"\r\n",
            (None, 107, "a PROXY line"),
            107,
            id="one byte too long",
        ),
        pytest.param(
            b"PROXY TCP6 "
            + b"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 " * 2
            + b"6553",
            (None, 107, "a PROXY line"),
            107,
            id="with addresses",
        ),
        pytest.param(
            version_2(b"", size=4081), (4097, 4096, "a PROXY header"), 16, id="binary"
        ),
        pytest.param(
            version_2(b"", command=0x20, kind=0, size=0xFFFF),
            (65551, 4096, "a PROXY header"),
            16,
            id="LOCAL",
        ),
    ],
)
def test_a_header_over_the_limit_is_refused_before_it_is_stored(
    stream: bytes, numbers: tuple[object, ...], count: int
) -> None:
    for chunks in ([stream], one_by_one(stream)):
        _, _, error = decode(*chunks)
        assert isinstance(error, FrameTooLargeError)
        assert error.args == numbers
    assert refused_after(stream) == count


@pytest.mark.parametrize(
    ("field", "path"),
    [
        pytest.param(b"", "", id="no name"),
        pytest.param(b"/a\0rubbish", "/a", id="rubbish behind a path"),
        pytest.param(b"/" * 108, "/" * 108, id="full"),
        pytest.param(b"\0" + b"x" * 107, "\0" + "x" * 107, id="abstract and full"),
        pytest.param(b"\0a\0b", "\0a\0b", id="NUL in an abstract name"),
        pytest.param("/ü".encode(), "/ü", id="UTF-8"),
        pytest.param(b"/\xff", "/\\xff", id="not UTF-8"),
    ],
)
def test_the_name_of_a_unix_socket_ends_where_its_kind_ends(
    field: bytes, path: str
) -> None:
    header, _, _ = decode(version_2(field.ljust(108, b"\0") + bytes(108), kind=0x31))
    assert header is not None
    assert header == ProxyHeader(source=UnixAddress(path), destination=UnixAddress(""))
    str(header.source).encode()  # it can be written to a log


def test_both_versions_write_an_address_as_a_socket_does() -> None:
    packed = b"\0" * 10 + b"\xff\xff" + bytes([192, 0, 2, 1])
    binary, _, _ = decode(version_2(packed * 2 + bytes(4), kind=0x21))
    line, _, _ = decode(b"PROXY TCP6 ::FFFF:C000:0201 ::ffff:192.0.2.1 0 0\r\n")
    address = TcpAddress(socket.inet_ntop(socket.AF_INET6, packed), 0)
    assert binary == line == ProxyHeader(source=address, destination=address)


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        # Known from RFC 3720, appendix B.4, and from every catalogue of checksums.
        pytest.param(b"123456789", 0xE3069283, id="digits"),
        pytest.param(bytes(32), 0x8A9136AA, id="zeros"),
        pytest.param(b"\xff" * 32, 0x62A8AB43, id="ones"),
        pytest.param(bytes(range(32)), 0x46DD794E, id="counting up"),
    ],
)
def test_the_checksum_is_that_of_iscsi(data: bytes, crc: int) -> None:
    assert _crc32c(data) == bit_by_bit(data) == crc


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_checksum_may_stand_anywhere_among_the_tlvs(
    before: bytes, behind: bytes
) -> None:
    stream = with_checksum(tlv(5, before), tlv(0xE1, behind))
    header, _, error = decode(stream)
    assert error is None
    assert header is not None
    assert [kind for kind, _ in header.tlvs] == [5, 3, 0xE1]


@given(st.data())
def test_no_flipped_bit_gets_past_a_checksum(data: st.DataObject) -> None:
    stream = bytearray(with_checksum(tlv(2, b"name"), tlv(5, b"id")))
    # Behind the command and the family, which may say that nothing is to be read.
    bit = data.draw(st.integers(8 * 16, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    header, _, error = decode(bytes(stream))
    # A type that is flipped leaves no checksum to check.
    if header is None:
        assert isinstance(error, InvalidFrameError)
    else:
        assert all(kind != 3 for kind, _ in header.tlvs)


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


def test_nobody_is_named_by_default() -> None:
    assert ProxyHeader() == ProxyHeader(source=None, destination=None, tlvs=())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ProxyHeader().source = CLIENT  # type: ignore[misc]  # the error is the point


# Reading it ------------------------------------------------------------------------


async def test_a_header_is_read_with_the_bytes_that_came_along() -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(version_2() + b"first bytes")
    assert await read_proxy_header(make_transport(stream)) == (IPV4, b"first bytes")


async def test_reading_goes_on_until_the_header_is_whole_and_no_further() -> None:
    proxy, stream = memory_stream_pair()
    transport = make_transport(stream)
    result: list[tuple[ProxyHeader, bytes]] = []

    async def read() -> None:
        result.append(await read_proxy_header(transport))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for byte in one_by_one(b"PROXY UNKNOWN\r\n"):
            await wait_all_tasks_blocked()
            assert not result
            await proxy.send_all(byte)
    assert result == [(NOBODY, b"")]
    await proxy.send_all(b"hello")
    assert await transport.receive_some() == b"hello"


async def test_a_client_without_a_header_is_refused_at_its_first_byte() -> None:
    client, stream = memory_stream_pair()
    await client.send_all(b"G")
    with pytest.raises(InvalidFrameError, match="begins with b'G'"):
        await read_proxy_header(make_transport(stream))


@pytest.mark.parametrize("sent", [b"", b"P", b"PROXY TCP4 1.2.3.4", version_2()[:-1]])
async def test_an_end_before_a_whole_header_is_truncation(sent: bytes) -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(sent)
    await proxy.aclose()
    with pytest.raises(TruncatedError) as caught:
        await read_proxy_header(make_transport(stream))
    assert caught.value.received == len(sent)


async def test_a_header_just_before_the_end_is_read() -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(version_2())
    await proxy.aclose()
    assert await read_proxy_header(make_transport(stream)) == (IPV4, b"")


async def test_a_broken_connection_is_told_as_such() -> None:
    proxy, stream = memory_stream_pair()
    proxy.reset()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await read_proxy_header(make_transport(stream))
    assert not isinstance(caught.value, FramingError)


async def test_the_caller_decides_how_long_a_header_may_take(
    autojump_clock: trio.abc.Clock,
) -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(b"PROXY ")
    began = autojump_clock.current_time()
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(ProxyProtocol(trusted=["::1"]).timeout):
            await read_proxy_header(make_transport(stream))
    assert autojump_clock.current_time() - began == pytest.approx(5)


# Trust -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "host", "expected"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/255.0.0.0", "10.255.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:a01:203", True),
        ("10.0.0.0/8", "::ffff:11.1.2.3", False),
        ("10.0.0.0/8", "::10.1.2.3", False),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:11.1.2.3", False),
        ("::ffff:0:0/96", "203.0.113.1", True),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::1", "127.0.0.1", False),
        ("::/0", "2001:db8::1", True),
        ("::/0", "10.1.2.3", False),
        ("::/0", "::ffff:10.1.2.3", False),
        ("0.0.0.0/0", "::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("fe80::1", "fe80::1%2", True),
        ("fe80::1", "fe80::2%2", False),
        ("0.0.0.0/0", "localhost", False),
        ("0.0.0.0/0", "", False),
    ],
)
def test_a_peer_is_trusted_by_its_network(
    trusted: str, host: str, expected: bool
) -> None:
    assert ProxyProtocol(trusted=[trusted]).trusts(TcpAddress(host, 1)) is expected


def test_any_of_the_networks_is_enough() -> None:
    proxies = ProxyProtocol(trusted=["10.0.0.0/8", "::1", "192.0.2.0/24"])
    hosts = ["10.0.0.1", "::1", "192.0.2.1", "192.0.3.1", "::2"]
    trust = [proxies.trusts(TcpAddress(host, 0)) for host in hosts]
    assert trust == [True, True, True, False, False]


def test_who_may_connect_to_a_unix_socket_is_trusted_and_nobody_is_not() -> None:
    proxies = ProxyProtocol(trusted=["192.0.2.1"])
    assert proxies.trusts(UnixAddress(""))
    assert proxies.trusts(UnixAddress("/run/proxy.sock"))
    assert not proxies.trusts(None)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_mapped_address_is_trusted_as_its_ipv4_address_is(
    network: ipaddress.IPv4Address, prefix: int, peer: ipaddress.IPv4Address
) -> None:
    trusted = ipaddress.ip_network(f"{network}/{prefix}", strict=False)
    mapped = f"::ffff:{trusted.network_address}/{96 + prefix}"
    proxies = ProxyProtocol(trusted=[trusted])
    assert proxies == ProxyProtocol(trusted=[mapped])
    expected = peer in trusted
    assert proxies.trusts(TcpAddress(str(peer), 1)) is expected
    assert proxies.trusts(TcpAddress(f"::ffff:{peer}", 1)) is expected


@pytest.mark.parametrize(
    "bad",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "localhost",
        "",
        "10.0.0.0/8 ",
        "fe80::%eth0/64",
        "::1/64",
        5,
        b"\x0a\0\0\1",
        None,
        ("10.0.0.0", 8),
    ],
)
def test_what_is_no_network_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ValueError, match=r"trusted must hold networks"):
        ProxyProtocol(trusted=["::1", bad])


def test_trust_must_be_in_somebody() -> None:
    with pytest.raises(ValueError, match=r"trusted must hold at least one network"):
        ProxyProtocol(trusted=[])


def test_one_text_is_not_taken_for_many() -> None:
    with pytest.raises(ValueError, match=r"such as \['10\.0\.0\.0/8'\]"):
        ProxyProtocol(trusted="10.0.0.0/8")


def test_a_policy_is_immutable_and_comparable() -> None:
    networks = ["10.0.0.0/8", ipaddress.ip_network("::1")]
    proxies = ProxyProtocol(trusted=iter(networks))
    assert proxies.trusted == tuple(map(ipaddress.ip_network, networks))
    assert proxies == ProxyProtocol(trusted=networks, timeout=5)
    assert hash(proxies) == hash(ProxyProtocol(trusted=networks))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        proxies.timeout = 1  # type: ignore[misc]  # the error is the point


@pytest.mark.parametrize("timeout", [0, 3, 0.5, math.inf])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    assert ProxyProtocol(trusted=["::1"], timeout=timeout).timeout == timeout


@pytest.mark.parametrize("timeout", [-1, math.nan, "5", None, True])
def test_any_other_timeout_is_refused_by_name(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"timeout must be a number of seconds"):
        ProxyProtocol(trusted=["::1"], timeout=timeout)
