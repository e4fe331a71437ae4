"""A damaged header is refused at the first byte that shows it, and for its reason."""

from __future__ import annotations

import pytest

from tests.proxy_protocol.headers import (
    IPV4_BLOCK,
    SIGNATURE,
    decode,
    one_by_one,
    tlv,
    version_2,
    with_checksum,
)
from trio_tcp import FrameTooLargeError, FramingError, InvalidFrameError
from trio_tcp._proxy_header import ProxyHeaders
from trio_tcp.codecs import Decoder, NeedMore


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
damaged = pytest.mark.parametrize(("stream", "reason"), DAMAGED)


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
