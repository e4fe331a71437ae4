"""Messages of one size, with nothing between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import EncodeError
from trio_tcp._kinds import as_bytes
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._large_codec import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["FixedLength"]


@final
@attrs.frozen
class FixedLength:
    r"""Every message has the same number of bytes, so that none needs a mark.

    Args:
        size: of each message, in bytes.

    Raises:
        ValueError: ``size`` is no whole number of at least 1.

    Example::

        records = FixedLength(4)
        assert records.encode(b"\x00\x00\x01\x17") == b"\x00\x00\x01\x17"
    """

    size: int = attrs.field(validator=whole(1))

    def encode(self, message: bytes, /) -> bytes:
        """Return the message as it is.

        Raises:
            TypeError: it is not of bytes.
            EncodeError: it does not have ``size`` bytes.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        if len(message) != self.size:
            raise EncodeError(
                f"this message has {len(message)} bytes, and size says {self.size}"
            )
        return message

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each ``size`` bytes."""
        size = self.size
        while True:
            while len(buffer.data) - buffer.cursor < size:
                yield NEED_MORE
            data, begin = buffer.as_bytes(), buffer.cursor
            for end in range(begin + size, len(data) + 1, size):
                buffer.cursor = end
                yield data[begin:end]
                begin = end

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        size = self.size
        count = (len(data) - start) // size
        if count == 1:
            return [data[start : start + size]], start + size
        end = start + min(count, BATCH_MESSAGES) * size
        return [data[at : at + size] for at in range(start, end, size)], end

    def extent(self, data: bytes, start: int, /) -> Extent:
        """Say how far a message reaches: see `LargeCodec`."""
        return Extent(0, self.size, self.size)

    def from_payload(self, payload: bytes, /) -> bytes:
        """Return the payload, which is the message: see `LargeCodec`."""
        return payload

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        return iter(range(start + self.size, len(data) + 1, self.size))
