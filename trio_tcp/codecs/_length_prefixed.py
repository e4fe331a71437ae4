"""Messages behind their length: ``00 00 00 05 h e l l o``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import attrs

from trio_tcp._errors import FrameTooLargeError, MessageTooLargeError
from trio_tcp.codecs._batch_codec import BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["LengthPrefixed"]

PrefixSize: TypeAlias = Literal[1, 2, 3, 4, 8]
ByteOrder: TypeAlias = Literal["big", "little"]


def _unpacker(size: PrefixSize, order: ByteOrder) -> Callable[[bytes, int], Any]:
    """Return a function that reads an integer, as a tuple, at an index."""
    if size == 3:  # noqa: PLR2004 - struct has a letter for each of the other sizes
        return lambda data, begin: (int.from_bytes(data[begin : begin + 3], order),)
    letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
    return struct.Struct((">" if order == "big" else "<") + letter).unpack_from


@final
@attrs.frozen
class LengthPrefixed:
    r"""Each message follows its length in bytes, as an unsigned integer.

    The commonest binary framing. It carries any bytes, empty messages too.

    Args:
        prefix_size: bytes of the length: 1, 2, 3, 4 or 8.
        byteorder: of the length: "big" (the network's) or "little".
        max_bytes: the largest message, without its prefix, in either direction. A
            longer one that the peer announces is refused before any of it is stored.

    Example::

        LengthPrefixed().encode(b"hello")  # b"\x00\x00\x00\x05hello"
    """

    prefix_size: PrefixSize = attrs.field(
        default=4, validator=attrs.validators.in_((1, 2, 3, 4, 8))
    )
    byteorder: ByteOrder = attrs.field(
        default="big", validator=attrs.validators.in_(("big", "little")), kw_only=True
    )
    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=positive, kw_only=True
    )

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message.

        Raises:
            MessageTooLargeError: over ``max_bytes``, or what the prefix can express.
        """
        size = len(message)
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        try:
            return size.to_bytes(self.prefix_size, self.byteorder) + message
        except OverflowError:
            largest = (1 << 8 * self.prefix_size) - 1
            raise MessageTooLargeError(size, largest, "prefix_size") from None

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each message without its prefix."""
        prefix_size, max_bytes = self.prefix_size, self.max_bytes
        unpack = _unpacker(prefix_size, self.byteorder)
        wanted: int = prefix_size
        while True:
            while len(buffer.data) - buffer.cursor < wanted:
                yield NEED_MORE
            data, begin = buffer.as_bytes(), buffer.cursor
            available = len(data)
            wanted = prefix_size
            # This loop takes whole messages out of one chunk.
            while (body := begin + prefix_size) <= available:
                (size,) = unpack(data, begin)
                if size > max_bytes:
                    raise FrameTooLargeError(size, max_bytes, "max_bytes")
                end = body + size
                if end > available:
                    wanted = prefix_size + size
                    break
                buffer.cursor = begin = end
                yield data[body:end]

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        prefix_size, max_bytes = self.prefix_size, self.max_bytes
        unpack = _unpacker(prefix_size, self.byteorder)
        available = len(data)
        messages: list[bytes] = []
        while (body := start + prefix_size) <= available:
            (size,) = unpack(data, start)
            end = body + size
            if end > available or size > max_bytes:
                break
            messages.append(data[body:end])
            start = end
            if len(messages) == BATCH_MESSAGES:
                break
        return messages, start

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        unpack = _unpacker(self.prefix_size, self.byteorder)
        while True:
            (size,) = unpack(data, start)
            start += self.prefix_size + size
            yield start
