"""The header of the PROXY protocol, versions 1 and 2: bytes to addresses, with no I/O.

The rules are those of HAProxy's ``proxy-protocol.txt``
(https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): section 2.1 for version
1, a line of text, and section 2.2 for version 2, which is binary. The sections named
below are of that text.

Both are read strictly, and refused at the first byte that no header can have there
(section 2.1: "abort the connection as soon as possible"). So a client that speaks
something else is refused at once, and not when a timeout is over. For text that is an
invariant: what has arrived of a field is refused when no ending makes it a valid one.
A number in binary is judged when all its bytes are there.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, Generic, Never, TypeVar, assert_never, final

import attrs

from trio_tcp._address import Address, TcpAddress, UnixAddress
from trio_tcp._errors import FrameTooLargeError, InvalidFrameError
from trio_tcp.codecs import NEED_MORE, NeedMore

if TYPE_CHECKING:
    from trio_tcp.codecs import Buffer, Decoding

__all__ = ["MAX_HEADER_BYTES", "MAX_LINE_BYTES", "ProxyHeader", "ProxyHeaders"]

T = TypeVar("T")

MAX_LINE_BYTES: Final = 107
"""The longest line of version 1, with its CRLF (section 2.1)."""

MAX_HEADER_BYTES: Final = 4096
"""The longest header of version 2, in all. The format allows 65551 bytes, and section 2
means a header to fit into 536; but a client's certificate in a TLV has 1 to 2 KiB.
nginx has this limit, as ``NGX_PROXY_PROTOCOL_MAX_HEADER``."""

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
UNKNOWN: Final = b"PROXY UNKNOWN"
TCP4: Final = b"PROXY TCP4 "
TCP6: Final = b"PROXY TCP6 "
STARTS: Final = (SIGNATURE, TCP4, TCP6, UNKNOWN)

HOST_FAMILIES: Final = {4: socket.AF_INET, 16: socket.AF_INET6}
LAST_PORT: Final = 0xFFFF

VERSION: Final = 2
LOCAL: Final = 0
PROXY: Final = 1
# The highest number that section 2.2 gives a meaning.
LAST_FAMILY: Final = 3
LAST_PROTOCOL: Final = 2
TCP_OVER_IPV4: Final = 0x11
TCP_OVER_IPV6: Final = 0x21
UNIX_STREAM: Final = 0x31
ADDRESSES: Final = {
    TCP_OVER_IPV4: struct.Struct("!4s4sHH"),
    TCP_OVER_IPV6: struct.Struct("!16s16sHH"),
    UNIX_STREAM: struct.Struct("!108s108s"),
}

TLV_HEAD: Final = struct.Struct("!BH")
CRC32C: Final = 0x03
CRC32C_BYTES: Final = 4


@final
@attrs.frozen(kw_only=True)
class ProxyHeader:
    """Whose connection a proxy is passing on, as its header says.

    Both addresses are None where the header names none that a stream can have: then
    those of the connection itself stand. That is so for ``LOCAL`` (the proxy speaks for
    itself, to see if this server lives), for ``UNKNOWN`` and UNSPEC, and for datagrams.

    Attributes:
        source: the address of the client that connected to the proxy.
        destination: the address that this client connected to.
        tlvs: type and value of each extension of version 2, as sent and in that order;
            none where the addresses are None. Section 2.2 has the types, such as 0x02
            for the host name that a TLS client asked for.
    """

    source: Address | None = None
    destination: Address | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()


@final
@attrs.frozen
class ProxyHeaders:
    """A codec that receives one `ProxyHeader`, of whichever version, and no more."""

    def encode(self, message: Never, /) -> bytes:
        """Nothing can be encoded: this end of a connection only receives headers."""
        assert_never(message)

    def decode(self, buffer: Buffer, /) -> Decoding[ProxyHeader]:
        """Yield the header. What is behind it stays in the buffer.

        Raises:
            InvalidFrameError: not a header.
            FrameTooLargeError: over `MAX_LINE_BYTES` or `MAX_HEADER_BYTES`.
        """
        start = b""
        while start not in STARTS:
            start += yield from buffer.exactly(1)
            if not any(known.startswith(start) for known in STARTS):
                raise InvalidFrameError(f"no PROXY header begins with {start!r}")
        if start == SIGNATURE:
            yield (yield from _version_2(buffer))
        elif start == UNKNOWN:
            yield from _field(buffer, "end", _IGNORED, b"\r\n")
            yield ProxyHeader()
        else:
            yield (yield from _version_1(buffer, _IPV4 if start == TCP4 else _IPV6))


# Version 1 -------------------------------------------------------------------------


@attrs.frozen
class _Kind(Generic[T]):
    """What a field of the line may hold.

    Attributes:
        parse: turns the field's text into its value, or raises `ValueError`.
        endings: of which one makes a valid field of any text that can become one.
    """

    parse: Callable[[str], T]
    endings: tuple[str, ...]

    def accepts(self, field: bytes) -> bool:
        try:
            self.parse(field.decode("latin-1"))
        except ValueError:
            return False
        return True

    def can_begin(self, text: bytes, end: bytes) -> bool:
        """Say if a field and its ``end``, and anything then, can begin like this."""
        field, mark, rest = text.partition(end[:1])
        if not mark:
            return any(self.accepts(field + tail.encode()) for tail in self.endings)
        behind = end[1:]
        return self.accepts(field) and rest[: len(behind)] == behind[: len(rest)]


def _parse_ipv6(text: str) -> str:
    # A zone would be one of the proxy's interfaces. ipaddress takes it; no rule does.
    if "%" in text:
        raise ValueError("an address with a zone")
    return _host(ipaddress.IPv6Address(text).packed)


def _parse_port(text: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,4}", text) or int(text) > LAST_PORT:
        raise ValueError("not a port")
    return int(text)


def _parse_ignored(text: str) -> None:
    """Take what is behind UNKNOWN: anything, but still "one line" (section 2.1)."""
    if text[:1] not in ("", " ") or "\n" in text:
        raise ValueError("not the rest of a line")


_IPV4: Final = _Kind(
    lambda text: _host(ipaddress.IPv4Address(text).packed),
    ("", ".0", ".0.0", ".0.0.0", "0", "0.0", "0.0.0", "0.0.0.0"),
)
# Dots too, though section 2.1 has only colons: HAProxy writes IPv4 addresses so when
# the other one is IPv6 (make_proxy_line_v1), as inet_ntop does it: ::ffff:192.0.2.1.
_IPV6: Final = _Kind(_parse_ipv6, ("", "::", ":", "0", ".0", "0.0", ".0.0", "0.0.0"))
_PORT: Final = _Kind(_parse_port, ("", "0"))
_IGNORED: Final = _Kind(_parse_ignored, ("",))


def _version_1(
    buffer: Buffer, address: _Kind[str]
) -> Generator[NeedMore, None, ProxyHeader]:
    """Read the line behind ``PROXY TCP4`` or ``PROXY TCP6`` (section 2.1)."""
    source = yield from _field(buffer, "source address", address)
    destination = yield from _field(buffer, "destination address", address)
    source_port = yield from _field(buffer, "source port", _PORT)
    destination_port = yield from _field(buffer, "destination port", _PORT, b"\r\n")
    return ProxyHeader(
        source=TcpAddress(source, source_port),
        destination=TcpAddress(destination, destination_port),
    )


def _field(
    buffer: Buffer, name: str, kind: _Kind[T], end: bytes = b" "
) -> Generator[NeedMore, None, T]:
    """Consume one field of the line and its ``end``.

    It looks at all that is there at once: to parse after every byte would be slow.
    """
    while True:
        text = bytes(buffer.data[buffer.cursor : buffer.start + MAX_LINE_BYTES])
        if not kind.can_begin(text, end):
            sizes = range(1, len(text) + 1)
            size = next(n for n in sizes if not kind.can_begin(text[:n], end))
            raise InvalidFrameError(
                f"the {name} of a PROXY line is wrong at {text[:size][-8:]!r}"
            )
        field, found, _ = text.partition(end)
        if found:
            buffer.cursor += len(field) + len(end)
            return kind.parse(field.decode("latin-1"))
        if buffer.cursor + len(text) - buffer.start == MAX_LINE_BYTES:
            raise FrameTooLargeError(None, MAX_LINE_BYTES, "a PROXY line")
        yield NEED_MORE


def _host(packed: bytes) -> str:
    """Write an address as sockets do, so that one client has one name everywhere."""
    return socket.inet_ntop(HOST_FAMILIES[len(packed)], packed)


# Version 2 -------------------------------------------------------------------------


def _version_2(buffer: Buffer) -> Generator[NeedMore, None, ProxyHeader]:
    """Read what is behind the signature (section 2.2)."""
    (version_command,) = yield from buffer.exactly(1)
    version, command = version_command >> 4, version_command & 0xF
    if version != VERSION or command not in (LOCAL, PROXY):
        raise InvalidFrameError(
            f"version {version}, command {command} of the PROXY protocol is not known"
        )
    (kind,) = yield from buffer.exactly(1)
    # LOCAL: "discard the protocol block including the family which is ignored".
    if command == PROXY and (kind >> 4 > LAST_FAMILY or kind & 0xF > LAST_PROTOCOL):
        raise InvalidFrameError(f"0x{kind:02x} is no family of the PROXY protocol")
    block_size = int.from_bytes((yield from buffer.exactly(2)))
    size = buffer.cursor - buffer.start + block_size
    if size > MAX_HEADER_BYTES:
        raise FrameTooLargeError(size, MAX_HEADER_BYTES, "a PROXY header")
    layout = ADDRESSES.get(kind) if command == PROXY else None
    if layout is None:
        # A datagram over a stream is nonsense, yet valid. Section 2.2 has a receiver
        # fall back to UNSPEC for what it does not support, and ignore the addresses;
        # HAProxy does. Where TLVs would begin is then not defined: nothing is read.
        yield from buffer.exactly(block_size)
        return ProxyHeader()
    if block_size < layout.size:
        raise InvalidFrameError(
            f"a PROXY header of family 0x{kind:02x} needs {layout.size} bytes of "
            f"addresses, not {block_size}"
        )
    fields = layout.unpack((yield from buffer.exactly(layout.size)))
    source, destination = _addresses(*fields)
    tlvs = yield from _tlvs(buffer, size)
    return ProxyHeader(source=source, destination=destination, tlvs=tlvs)


def _addresses(source: bytes, destination: bytes, *ports: int) -> tuple[Address, ...]:
    if not ports:
        return _unix_address(source), _unix_address(destination)
    hosts = (_host(source), _host(destination))
    return tuple(map(TcpAddress, hosts, ports))


def _unix_address(path: bytes) -> UnixAddress:
    """Take the NULs off that fill the field: a NUL first is Linux's abstract name."""
    name = path.partition(b"\0")[0] if path[0] else path.rstrip(b"\0")
    return UnixAddress(name.decode("utf-8", "backslashreplace"))


def _tlvs(
    buffer: Buffer, size: int
) -> Generator[NeedMore, None, tuple[tuple[int, bytes], ...]]:
    """Read the TLVs that fill a header of ``size`` bytes, and check a checksum."""
    tlvs: list[tuple[int, bytes]] = []
    checksum_at = 0
    while left := size - (buffer.cursor - buffer.start):
        if left < TLV_HEAD.size:
            raise InvalidFrameError("a TLV of the PROXY header is cut off")
        kind, length = TLV_HEAD.unpack((yield from buffer.exactly(TLV_HEAD.size)))
        if length > left - TLV_HEAD.size:
            raise InvalidFrameError("a TLV goes beyond the end of the PROXY header")
        if kind == CRC32C:
            if checksum_at or length != CRC32C_BYTES:
                raise InvalidFrameError("a PROXY header has one checksum, of 4 bytes")
            checksum_at = buffer.cursor - buffer.start
        tlvs.append((kind, (yield from buffer.exactly(length))))
    if checksum_at:
        # Who can compute it must check it (section 2.2, PP2_TYPE_CRC32C).
        header = bytearray(buffer.data[buffer.start : buffer.cursor])
        field = slice(checksum_at, checksum_at + CRC32C_BYTES)
        sent, header[field] = int.from_bytes(header[field]), bytes(CRC32C_BYTES)
        if sent != _crc32c(header):
            raise InvalidFrameError("the checksum of the PROXY header is wrong")
    return tuple(tlvs)


def _crc32c_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC32C_TABLE: Final = tuple(map(_crc32c_of_byte, range(256)))


def _crc32c(data: bytes | bytearray) -> int:
    """Compute CRC32c: RFC 9260, appendix A (earlier RFC 4960, appendix B)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
