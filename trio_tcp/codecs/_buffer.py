"""Received bytes that are not yet messages, in memory that grows linearly.

Two positions matter. ``start`` is the first byte of the unfinished message: everything
before it has been delivered, so this is where another codec, or the user of a detached
stream, goes on. ``cursor`` is how far the decoder has come inside that message.

Bytes are copied a bounded number of times however they arrive. A leftover that is no
longer than the next chunk is put before it, in a new `bytes`: that costs at most as
much as the chunk did. A longer one (a large message in small chunks) becomes a
`bytearray`, to which appending costs only what is appended. So ``data`` is either of
the two, and slices of it that leave the codec must be made `bytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from trio_tcp._errors import FrameTooLargeError, InvalidFrameError
from trio_tcp.codecs._codec import NEED_MORE, NeedMore

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Buffer"]


@final
class Buffer:
    """The bytes that a decoder reads. A codec's ``decode`` is given one.

    Simple codecs need only `exactly` and `until`, with ``yield from``. Fast ones read
    `data` from `cursor` on, and move `cursor` behind a message before they yield it.

    Attributes:
        data: the bytes at hand; what is before `start` is delivered already.
        start: index of the first byte of the message that is not yet whole.
        cursor: index of the first byte that the decoder has not consumed.
        beyond: how many bytes of a large message are kept elsewhere, behind `data`.
        ended: True when the peer has closed, and the decoder has asked for more.
        skipped: how many bytes were skipped as garbage, in all.
    """

    __slots__ = ("beyond", "cursor", "data", "ended", "skipped", "start")

    def __init__(self, data: bytes = b"") -> None:
        self.data: bytes | bytearray = data
        self.start: int = 0
        self.cursor: int = 0
        self.beyond: int = 0
        self.ended: bool = False
        self.skipped: int = 0

    def feed(self, chunk: bytes) -> None:
        """Append received bytes, and let go of those that are delivered."""
        start, data = self.start, self.data
        unread = len(data) - start
        if not unread:
            self.data = chunk
        elif unread <= len(chunk):
            self.data = b"".join((memoryview(data)[start:], chunk))
        else:
            if not isinstance(data, bytearray):
                self.data = data = bytearray(data)
            del data[:start]
            data += chunk
        self.cursor -= start
        self.start = 0

    def as_bytes(self) -> bytes:
        """Return `data` as `bytes`, so that slices of it need no further copy.

        For a codec that knows a whole message to be at hand. Waiting for one, it would
        copy a large message again with each of its chunks.
        """
        if isinstance(self.data, bytearray):
            self.data = bytes(self.data)
        return self.data

    def unread(self) -> bytes:
        """Return a copy of all that is not yet part of a delivered message."""
        return bytes(self.data[self.start :])

    def skip(self, count: int) -> None:
        """Drop ``count`` bytes from `cursor` on as garbage; a message begins there."""
        self.cursor += count
        self.start = self.cursor
        self.skipped += count

    def exactly(self, size: int) -> Generator[NeedMore, None, bytes]:
        """Consume ``size`` bytes: ``payload = yield from buffer.exactly(4)``.

        The caller checks ``size`` against its limit first: this waits for all of it.

        Raises:
            InvalidFrameError: ``size`` is negative, as what is left of a length that
                counts its header, and says less than that.
        """
        if size < 0:
            raise InvalidFrameError(f"a frame says that it goes on for {size} bytes")
        while len(self.data) - self.cursor < size:
            yield NEED_MORE
        begin, self.cursor = self.cursor, self.cursor + size
        return bytes(self.data[begin : self.cursor])

    def until(
        self, delimiter: bytes, *, max_bytes: int
    ) -> Generator[NeedMore, None, bytes]:
        """Consume up to and including ``delimiter``; return what was before it.

        Raises:
            FrameTooLargeError: more than ``max_bytes`` came before the delimiter.
        """
        searched = 0
        while True:
            found = self.data.find(delimiter, self.cursor + searched)
            size = (len(self.data) if found < 0 else found) - self.cursor
            # The last bytes may be the beginning of a delimiter: not counted yet.
            searched = size if found >= 0 else max(0, size - len(delimiter) + 1)
            if searched > max_bytes:
                raise FrameTooLargeError(None, max_bytes, "max_bytes")
            if found >= 0:
                content = bytes(self.data[self.cursor : found])
                self.cursor = found + len(delimiter)
                return content
            yield NEED_MORE
