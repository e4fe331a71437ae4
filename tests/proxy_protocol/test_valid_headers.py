"""A valid header says whose connection it is; what is behind it is not touched."""

from __future__ import annotations

import socket

import attrs
import pytest

from tests.proxy_protocol.headers import CLIENT, VALID, decode, one_by_one, version_2
from trio_tcp import TcpAddress, TruncatedError, UnixAddress
from trio_tcp._proxy_header import ProxyHeader

valid = pytest.mark.parametrize(("stream", "header"), VALID)


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


def test_nobody_is_named_by_default() -> None:
    assert ProxyHeader() == ProxyHeader(source=None, destination=None, tlvs=())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ProxyHeader().source = CLIENT  # type: ignore[misc]  # the error is the point
