"""Messages as netstrings: ``5:hello,``.

Read strictly, as D. J. Bernstein defines them (https://cr.yp.to/proto/netstrings.txt):
the length in decimal digits with no zero before it, a colon, the message, a comma.
"""

from __future__ import annotations

import re
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
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["Netstrings"]


COMMA: Final = ord(",")

LENGTH: Final = re.compile(b"(0|[1-9][0-9]*):")

BATCH_PREFIX_BYTES: Final = 20
"""Enough for the length of whatever may stand in one chunk."""


@final
@attrs.frozen
class Netstrings:
    """Each message stands between its length, written out, and a comma.

    Easy to read by eye, and the comma notices a wrong length. It carries any bytes,
    empty messages too.

    Args:
        max_bytes: the largest message, without length and comma, in either direction.
            A longer one that the peer announces is refused before any of it is stored.

    Raises:
        ValueError: ``max_bytes`` is no whole number of at least 1.

    Example::

        assert Netstrings().encode(b"hello") == b"5:hello,"
    """

    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=whole(1), kw_only=True
    )

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message, and a comma behind it.

        Raises:
            TypeError: it is not of bytes.
            MessageTooLargeError: over ``max_bytes``.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        size = len(message)
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        return b"%d:%b," % (size, message)

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each message without length and comma."""
        max_bytes = self.max_bytes
        read_length = LENGTH.match
        prefix_size = len(str(max_bytes)) + 1
        wanted = 1
        while True:
            while len(buffer.data) - buffer.cursor < wanted:
                yield NEED_MORE
            data, begin = buffer.as_bytes(), buffer.cursor
            available = len(data)
            wanted = 1
            # This loop takes whole messages out of one chunk.
            while begin < available:
                length = read_length(data, begin, begin + prefix_size)
                if not length:
                    self._check_prefix(data[begin : begin + prefix_size])
                    wanted = available - begin + 1
                    break
                size = int(length[1])
                if size > max_bytes:
                    raise FrameTooLargeError(size, max_bytes, "max_bytes")
                body = length.end()
                end = body + size
                if end >= available:
                    wanted = end + 1 - begin
                    break
                if data[end] != COMMA:
                    raise InvalidFrameError("no comma at the end of a netstring")
                buffer.cursor = begin = end + 1
                yield data[body:end]

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        max_bytes = self.max_bytes
        read_length = LENGTH.match
        available = len(data)
        messages: list[bytes] = []
        while start < available:
            length = read_length(data, start, start + BATCH_PREFIX_BYTES)
            if not length:
                break
            size, body = int(length[1]), length.end()
            end = body + size
            if size > max_bytes or end >= available or data[end] != COMMA:
                break
            messages.append(data[body:end])
            start = end + 1
            if len(messages) == BATCH_MESSAGES:
                break
        return messages, start

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        while length := LENGTH.match(data, start):
            start = length.end() + int(length[1]) + 1
            yield start

    def _check_prefix(self, prefix: bytes) -> None:
        """Refuse what is not the beginning of a length within the limit."""
        digits = prefix[:1] if prefix[:1] == b"0" else re.split(b"[^0-9]", prefix)[0]
        if len(digits) > len(str(self.max_bytes)):
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")
        if len(digits) < len(prefix):
            byte = prefix[len(digits) : len(digits) + 1]
            raise InvalidFrameError(
                f"a netstring begins with its length and a colon, without {byte!r}"
            )
