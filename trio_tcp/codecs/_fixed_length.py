"""Messages of one size, with nothing between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import EncodeError
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._limits import positive

if TYPE_CHECKING:
    from trio_tcp.codecs._buffer import Buffer

__all__ = ["FixedLength"]


@final
@attrs.frozen
class FixedLength:
    r"""Every message has the same number of bytes, so that none needs a mark.

    Args:
        size: of each message, in bytes.

    Example::

        records = FixedLength(4)
        assert records.encode(b"\x00\x00\x01\x17") == b"\x00\x00\x01\x17"
    """

    size: int = attrs.field(validator=positive)

    def encode(self, message: bytes, /) -> bytes:
        """Return the message as it is.

        Raises:
            EncodeError: it does not have ``size`` bytes.
        """
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
