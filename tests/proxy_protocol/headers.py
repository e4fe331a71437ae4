"""Headers of the PROXY protocol: how they are built and read, and one of each kind."""

from __future__ import annotations

import ipaddress
import socket
import struct

import attrs
import pytest

from trio_tcp import FramingError, TcpAddress, UnixAddress
from trio_tcp._proxy_header import ProxyHeader, ProxyHeaders
from trio_tcp.codecs import Decoder, NeedMore

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
