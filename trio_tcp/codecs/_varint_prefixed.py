"""Messages behind their length as a varint, as protobuf delimits its messages.

A varint holds seven bits of the number in each byte, the lowest first; all its bytes
but the last have the eighth bit set. Ten bytes are enough for 64 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from trio_tcp._errors import (
    FrameTooLargeError,
    InvalidFrameError,
    MessageTooLargeError,
)
from trio_tcp._kinds import as_bytes
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._large_codec import Extent
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["VarintPrefixed"]

MORE: Final = 0x80
"""The bit of a byte that says that another byte follows; the others are the number."""

MAX_PREFIX_BYTES: Final = 10
"""As in protobuf's own readers."""


def _write_varint(number: int) -> bytes:
    prefix = bytearray()
    while number >= MORE:
        prefix.append(number % MORE | MORE)
        number >>= 7
    prefix.append(number)
    return bytes(prefix)


SHORT: Final = tuple(map(_write_varint, range(MORE)))
"""The prefixes of one byte."""


def _read_varint(data: bytes, begin: int) -> tuple[int, int]:
    """Return the number and where it ends, or 0 and 0 if it is not yet whole."""
    number = 0
    for index, byte in enumerate(data[begin : begin + MAX_PREFIX_BYTES]):
        number |= byte % MORE << 7 * index
        if byte < MORE:
            return number, begin + index + 1
    if len(data) - begin < MAX_PREFIX_BYTES:
        return 0, 0
    raise InvalidFrameError(f"a varint of more than {MAX_PREFIX_BYTES} bytes")


@final
@attrs.frozen
class VarintPrefixed:
    r"""Each message follows its length in bytes, as a varint of 1 to 10 bytes.

    What protobuf's ``parseDelimitedFrom`` and ``writeDelimitedTo`` speak. It carries
    any bytes, empty messages too.

    Args:
        max_bytes: the largest message, without its prefix, in either direction. A
            longer one that the peer announces is refused before any of it is stored.

    Raises:
        ValueError: ``max_bytes`` is no whole number of at least 1.

    Example::

        assert VarintPrefixed().encode(b"hello") == b"\x05hello"
        assert VarintPrefixed().encode(b"x" * 300).startswith(b"\xac\x02xx")
    """

    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=whole(1), kw_only=True
    )

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message.

        Raises:
            TypeError: it is not of bytes.
            MessageTooLargeError: over ``max_bytes``.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        size = len(message)
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        if size < MORE:
            return SHORT[size] + message
        return _write_varint(size) + message

    def encode_parts(self, message: bytes, /) -> tuple[bytes, bytes]:
        """Return the length and the message: see `PartsCodec`."""
        size = len(message)
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        return _write_varint(size), message

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each message without its prefix."""
        max_bytes = self.max_bytes
        wanted = 1
        while True:
            while len(buffer.data) - buffer.cursor < wanted:
                yield NEED_MORE
            data, begin = buffer.as_bytes(), buffer.cursor
            available = len(data)
            wanted = 1
            # This loop takes whole messages out of one chunk.
            while begin < available:
                size, body = data[begin], begin + 1
                if size >= MORE:
                    size, body = _read_varint(data, begin)
                    if not body:
                        wanted = available - begin + 1
                        break
                if size > max_bytes:
                    raise FrameTooLargeError(size, max_bytes, "max_bytes")
                end = body + size
                if end > available:
                    wanted = end - begin
                    break
                buffer.cursor = begin = end
                yield data[body:end]

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        max_bytes = self.max_bytes
        available = len(data)
        messages: list[bytes] = []
        while start < available:
            size, body = data[start], start + 1
            if size >= MORE:
                # Longer than two bytes, it is not one of many in a chunk.
                if body == available or data[body] >= MORE:
                    break
                size, body = size - MORE | data[body] << 7, body + 1
            end = body + size
            if end > available or size > max_bytes:
                break
            messages.append(data[body:end])
            start = end
            if len(messages) == BATCH_MESSAGES:
                break
        return messages, start

    def extent(self, data: bytes, start: int, /) -> Extent | None:
        """Say how far a message reaches: see `LargeCodec`."""
        try:
            size, body = _read_varint(data, start)
        except InvalidFrameError:
            return None
        if not body or size > self.max_bytes:
            return None
        begin = body - start
        return Extent(begin, begin + size, begin + size)

    def from_payload(self, payload: bytes, /) -> bytes:
        """Return the payload, which is the message: see `LargeCodec`."""
        return payload

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        while True:
            size, body = _read_varint(data, start)
            start = body + size
            yield start
