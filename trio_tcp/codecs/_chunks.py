"""No framing: bytes as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import EncodeError, MessageTooLargeError
from trio_tcp._kinds import as_bytes
from trio_tcp._validators import whole
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from trio_tcp.codecs._buffer import Buffer

__all__ = ["Chunks"]


@final
@attrs.frozen
class Chunks:
    """Whatever arrives, when it arrives. Only the order of the bytes means something.

    For tunnels and for streams of media. What was one message on the other side may
    arrive as several, and several as one; to tell messages apart is what the other
    codecs are for.

    Args:
        max_bytes: the most that one message carries, in either direction. More that
            arrives at once becomes several messages.

    Raises:
        ValueError: ``max_bytes`` is no whole number of at least 1.

    Example::

        assert Chunks().encode(b"some bytes") == b"some bytes"
    """

    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=whole(1), kw_only=True
    )

    def encode(self, message: bytes, /) -> bytes:
        """Return the message as it is.

        Raises:
            TypeError: it is not of bytes.
            EncodeError: it is empty, and could not arrive.
            MessageTooLargeError: over ``max_bytes``.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        if not message:
            raise EncodeError("an empty message cannot arrive: nothing marks it")
        if len(message) > self.max_bytes:
            raise MessageTooLargeError(len(message), self.max_bytes, "max_bytes")
        return message

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield all that is there, at most ``max_bytes`` at a time."""
        max_bytes = self.max_bytes
        while True:
            begin = buffer.cursor
            while chunk := bytes(buffer.data[begin : begin + max_bytes]):
                buffer.cursor = begin = begin + len(chunk)
                yield chunk
            yield NEED_MORE
