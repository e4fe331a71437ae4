"""Messages with their length somewhere in a header.

A frame is ``offset`` bytes, of which the first may be a magic; the length field; and
behind it as many bytes as the length says, once ``adjustment`` is added to it.

Garbage is decided byte by byte: what cannot be the beginning of a frame is skipped as
soon as that is known, and what could be one waits. So it does not matter how the bytes
were cut, also for where the limit on garbage is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import (
    EncodeError,
    FrameTooLargeError,
    FramingError,
    InvalidFrameError,
    MessageTooLargeError,
)
from trio_tcp._kinds import as_bytes, of_kind, one_of
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._integers import READ, ByteOrder, IntegerSize, layout
from trio_tcp.codecs._large_codec import Extent
from trio_tcp.codecs._limits import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["LengthField"]


@final
@attrs.frozen
class LengthField:
    r"""Each message carries its length in a header of a fixed layout.

    The terms are those of Netty's ``LengthFieldBasedFrameDecoder``, and the sizes of
    all frames are counted whole, with header and trailer.

    What is stripped is not part of the message: decoding removes it, and encoding puts
    it there again, with the magic, the length, and zeros elsewhere. A header that
    has more in it is kept: then the message is the whole frame, on encode too, where
    its magic is checked and its length field is filled in. `Mapped` over this codec
    makes and reads such headers, and checksums.

    Args:
        offset: bytes before the length field.
        size: bytes of the length field: 1, 2, 3, 4 or 8.
        byteorder: of the length: "big" (the network's) or "little".
        adjustment: what to add to the length to get the number of bytes behind the
            length field. Minus ``offset + size`` if the length counts the whole frame.
        strip_header: how many bytes to remove from the beginning of each frame.
        strip_trailer: how many bytes to remove from the end of each frame.
        magic: the bytes that each frame begins with, before the length field.
        max_garbage_bytes: 0: a frame without its magic, or with an impossible length,
            is the end of the stream. More: the next magic is searched for, across up
            to so many bytes between two frames, which are counted as garbage. Garbage
            that looks like a header is taken for one: a checksum tells them apart.
        max_bytes: the largest frame, in either direction. A longer one that the peer
            announces is refused before any of it is stored.

    Attributes:
        header_bytes: how much of a frame is needed to know its length.
        smallest_bytes: the size of the smallest frame with this layout.
        largest_bytes: the size of the largest frame that the options allow.

    Raises:
        ValueError: no frame can have this layout.

    Example::

        # Two bytes of magic, a type, the length of the payload; a checksum behind it.
        frames = LengthField(
            offset=3, size=2, adjustment=1, magic=b"\xaa\x55", max_garbage_bytes=1024
        )
        frame = b"\xaa\x55" + b"\x07" + b"\0\0" + b"payload" + b"\x99"
        assert frames.encode(frame)[3:5] == b"\0\x07"

        # Nothing but the payload is of interest.
        bare = attrs.evolve(frames, strip_header=5, strip_trailer=1)
        assert bare.encode(b"payload") == b"\xaa\x55\0\0\x07payload\0"
    """

    offset: int = attrs.field(default=0, validator=whole(0), kw_only=True)
    size: IntegerSize = attrs.field(
        default=4, validator=one_of(1, 2, 3, 4, 8), kw_only=True
    )
    byteorder: ByteOrder = attrs.field(
        default="big", validator=one_of("big", "little"), kw_only=True
    )
    adjustment: int = attrs.field(default=0, validator=of_kind(int), kw_only=True)
    strip_header: int = attrs.field(default=0, validator=whole(0), kw_only=True)
    strip_trailer: int = attrs.field(default=0, validator=whole(0), kw_only=True)
    magic: bytes = attrs.field(default=b"", validator=of_kind(bytes), kw_only=True)
    max_garbage_bytes: int = attrs.field(default=0, validator=whole(0), kw_only=True)
    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_FRAME_BYTES, validator=whole(1), kw_only=True
    )

    header_bytes: int = attrs.field(init=False, repr=False, eq=False)
    smallest_bytes: int = attrs.field(init=False, repr=False, eq=False)
    largest_bytes: int = attrs.field(init=False, repr=False, eq=False)
    _layout: str = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a layout that no frame can have."""
        header = self.offset + self.size
        if len(self.magic) > self.offset:
            raise ValueError("magic must end before the length field, at offset")
        if self.offset < self.strip_header < header:
            raise ValueError("strip_header must not take a part of the length field")
        if 0 < self.strip_header < len(self.magic):
            raise ValueError("strip_header must not take a part of magic")
        if self.max_garbage_bytes and not self.magic:
            raise ValueError("max_garbage_bytes needs a magic to search for")
        empty = header + self.adjustment
        smallest = max(empty, max(header, self.strip_header) + self.strip_trailer)
        largest = min(self.max_bytes, empty + (1 << 8 * self.size) - 1)
        if largest < smallest:
            raise ValueError(
                f"no frame is possible: it needs {smallest} bytes, and the length "
                f"field with max_bytes allows {largest}"
            )
        # The way that attrs has for what follows from the options of a frozen class.
        object.__setattr__(self, "header_bytes", header)
        object.__setattr__(self, "smallest_bytes", smallest)
        object.__setattr__(self, "largest_bytes", largest)
        object.__setattr__(self, "_layout", layout(self.size, self.byteorder))

    def encode(self, message: bytes, /) -> bytes:
        """Put the header before the message, with its length, and the trailer behind.

        Raises:
            TypeError: it is not of bytes.
            MessageTooLargeError: over ``max_bytes``, or what ``size`` can express.
            EncodeError: a header that is kept does not begin with ``magic``, or the
                message is smaller than its header and trailer.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        frame = bytes(self.strip_header) + message + bytes(self.strip_trailer)
        total = len(frame)
        if total > self.largest_bytes:
            option = "max_bytes" if self.largest_bytes == self.max_bytes else "size"
            raise MessageTooLargeError(total, self.largest_bytes, option)
        if total < self.smallest_bytes:
            raise EncodeError(
                f"this message makes a frame of {total} bytes, and the smallest has "
                f"{self.smallest_bytes}: header, length and trailer do not fit"
            )
        if not self.strip_header and not frame.startswith(self.magic):
            raise EncodeError(f"this frame does not begin with magic {self.magic!r}")
        length = total - self.header_bytes - self.adjustment
        return (
            self.magic
            + frame[len(self.magic) : self.offset]
            + length.to_bytes(self.size, self.byteorder)
            + frame[self.header_bytes :]
        )

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each frame without what is stripped of it."""
        magic, offset, header_bytes = self.magic, self.offset, self.header_bytes
        least, most, byteorder = self.smallest_bytes, self.max_bytes, self.byteorder
        skip, trailer = self.strip_header, self.strip_trailer
        shortest = header_bytes + self.adjustment
        garbage = 0  # since the last frame
        wanted = header_bytes
        while True:
            if len(buffer.data) - (begin := buffer.cursor) < wanted:
                if magic.startswith(bytes(buffer.data[begin : begin + len(magic)])):
                    yield NEED_MORE
                else:
                    garbage = self._resynchronise(buffer, garbage, self._no_magic())
                continue
            data = buffer.as_bytes()
            available = len(data)
            wanted = header_bytes
            # This loop takes whole frames out of one chunk.
            while (body := begin + header_bytes) <= available:
                length = int.from_bytes(data[begin + offset : body], byteorder)
                total = shortest + length
                if not least <= total <= most or (
                    magic and not data.startswith(magic, begin)
                ):
                    error = self._no_frame(total, data[begin : begin + len(magic)])
                    garbage = self._resynchronise(buffer, garbage, error)
                    begin = buffer.cursor
                    continue
                end = begin + total
                if end > available:
                    wanted = total
                    break
                garbage = 0
                buffer.cursor = end
                yield data[begin + skip : end - trailer]
                begin = end

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        magic, offset, header_bytes = self.magic, self.offset, self.header_bytes
        least, most, read = self.smallest_bytes, self.max_bytes, READ[self._layout]
        skip, trailer = self.strip_header, self.strip_trailer
        shortest = header_bytes + self.adjustment
        available = len(data)
        messages: list[bytes] = []
        while start + header_bytes <= available:
            (length,) = read(data, start + offset)
            total = shortest + length
            end = start + total
            if end > available or not least <= total <= most:
                break
            if magic and not data.startswith(magic, start):
                break
            messages.append(data[start + skip : end - trailer])
            start = end
            if len(messages) == BATCH_MESSAGES:
                break
        return messages, start

    def extent(self, data: bytes, start: int, /) -> Extent | None:
        """Say how far a message reaches: see `LargeCodec`."""
        if len(data) - start < self.header_bytes:
            return None
        if self.magic and not data.startswith(self.magic, start):
            return None
        (length,) = READ[self._layout](data, start + self.offset)
        total = self.header_bytes + self.adjustment + length
        if not self.smallest_bytes <= total <= self.max_bytes:
            return None
        return Extent(self.strip_header, total - self.strip_trailer, total)

    def from_payload(self, payload: bytes, /) -> bytes:
        """Return the payload, which is the message: see `LargeCodec`."""
        return payload

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        read, shortest = READ[self._layout], self.header_bytes + self.adjustment
        while True:
            (length,) = read(data, start + self.offset)
            start += shortest + length
            yield start

    def _no_magic(self) -> FramingError:
        return InvalidFrameError(f"a frame does not begin with magic {self.magic!r}")

    def _no_frame(self, total: int, magic: bytes) -> FramingError:
        """Say why a header is not one of a frame."""
        if magic != self.magic:
            return self._no_magic()
        if total > self.max_bytes:
            return FrameTooLargeError(total, self.max_bytes, "max_bytes")
        return InvalidFrameError(
            f"a frame says that it has {total} bytes, and the smallest has "
            f"{self.smallest_bytes}"
        )

    def _resynchronise(self, buffer: Buffer, garbage: int, error: FramingError) -> int:
        """Skip what is not a frame, up to where the next one may begin.

        Args:
            buffer: what begins at its cursor is not a frame.
            garbage: how much was skipped since the last frame.
            error: why it is not a frame.

        Returns:
            How much is skipped since the last frame.

        Raises:
            FramingError: more than ``max_garbage_bytes``, or ``error`` if that is 0.
        """
        if not self.max_garbage_bytes:
            raise error
        data, magic, begin = buffer.data, self.magic, buffer.cursor
        found = data.find(magic, begin + 1)
        if found < 0:
            # The bytes at the end may be the beginning of a magic.
            most = min(len(magic), len(data) - begin) - 1
            sizes = (size for size in range(most, 0, -1) if data.endswith(magic[:size]))
            found = len(data) - next(sizes, 0)
        allowed = self.max_garbage_bytes - garbage
        if found - begin > allowed:
            buffer.skip(allowed)
            raise InvalidFrameError(
                f"no frame begins within max_garbage_bytes ({self.max_garbage_bytes})"
            ) from error
        buffer.skip(found - begin)
        return garbage + found - begin
