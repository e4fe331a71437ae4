"""Messages behind their length: ``00 00 00 05 h e l l o``."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import FrameTooLargeError, MessageTooLargeError
from trio_tcp._kinds import as_bytes, one_of
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._integers import READ, ByteOrder, IntegerSize, layout
from trio_tcp.codecs._large_codec import Extent
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["LengthPrefixed"]


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

    Raises:
        ValueError: an argument is not one of those.

    Example::

        LengthPrefixed().encode(b"hello")  # b"\x00\x00\x00\x05hello"
    """

    prefix_size: IntegerSize = attrs.field(default=4, validator=one_of(1, 2, 3, 4, 8))
    byteorder: ByteOrder = attrs.field(
        default="big", validator=one_of("big", "little"), kw_only=True
    )
    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=whole(1), kw_only=True
    )
    _layout: str = attrs.field(init=False, repr=False, eq=False)
    _largest: int = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Look up once what each message needs."""
        # The way that attrs has for what follows from the options of a frozen class.
        largest = min(self.max_bytes, (1 << 8 * self.prefix_size) - 1)
        object.__setattr__(self, "_layout", layout(self.prefix_size, self.byteorder))
        object.__setattr__(self, "_largest", largest)

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message.

        Raises:
            TypeError: it is not of bytes.
            MessageTooLargeError: over ``max_bytes``, or what the prefix can express.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        size = len(message)
        if size > self._largest:
            raise self._too_large(size)
        return size.to_bytes(self.prefix_size, self.byteorder) + message

    def encode_parts(self, message: bytes, /) -> tuple[bytes, bytes]:
        """Return the length and the message: see `PartsCodec`."""
        size = len(message)
        if size > self._largest:
            raise self._too_large(size)
        return size.to_bytes(self.prefix_size, self.byteorder), message

    def _too_large(self, size: int) -> MessageTooLargeError:
        option = "max_bytes" if self._largest == self.max_bytes else "prefix_size"
        return MessageTooLargeError(size, self._largest, option)

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each message without its prefix."""
        prefix_size, max_bytes = self.prefix_size, self.max_bytes
        read = READ[self._layout]
        wanted: int = prefix_size
        while True:
            while len(buffer.data) - buffer.cursor < wanted:
                yield NEED_MORE
            data, begin = buffer.as_bytes(), buffer.cursor
            available = len(data)
            wanted = prefix_size
            # This loop takes whole messages out of one chunk.
            while (body := begin + prefix_size) <= available:
                (size,) = read(data, begin)
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
        read = READ[self._layout]
        available = len(data)
        messages: list[bytes] = []
        while (body := start + prefix_size) <= available:
            (size,) = read(data, start)
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
        body = self.prefix_size
        if len(data) - start < body:
            return None
        (size,) = READ[self._layout](data, start)
        return None if size > self.max_bytes else Extent(body, body + size, body + size)

    def from_payload(self, payload: bytes, /) -> bytes:
        """Return the payload, which is the message: see `LargeCodec`."""
        return payload

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        read = READ[self._layout]
        while True:
            (size,) = read(data, start)
            start += self.prefix_size + size
            yield start
