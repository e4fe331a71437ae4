"""Runs a codec's ``decode`` over bytes as they come: the sans-IO half of receiving.

This is where the promises that all codecs share are kept in one place: what was whole
before an error comes before the error, a malformed message does not end the stream, a
lost framing does, and an unfinished message at the end is an error of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Never, TypeVar, final

from trio_tcp._errors import MalformedMessageError, TruncatedError
from trio_tcp.codecs._buffer import Buffer
from trio_tcp.codecs._codec import NEED_MORE, NeedMore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._codec import Codec

__all__ = ["Decoder"]

In = TypeVar("In")


@final
class Decoder(Generic[In]):
    r"""Messages out of chunks of bytes, with no I/O.

    For tests, and for bytes that do not come from a stream. Example::

        decoder = codecs.Decoder(codecs.Lines())
        decoder.feed(b"one\ntw")
        assert decoder.next_message() == "one"
        assert decoder.next_message() is codecs.NEED_MORE

    Attributes:
        buffer: the bytes that are not yet messages.
    """

    __slots__ = ("_codec", "_ending", "_error", "_items", "_waiting_at", "buffer")

    def __init__(self, codec: Codec[In, Never], buffer: Buffer | None = None) -> None:
        self.buffer: Buffer = Buffer() if buffer is None else buffer
        self._codec = codec
        self._items: Iterator[In | NeedMore] = codec.decode(self.buffer)
        self._error: Exception | None = None
        self._ending, self.buffer.ended = self.buffer.ended, False
        # `start` when a generator began or asked for more: with every message it moves.
        self._waiting_at = self.buffer.start

    def feed(self, chunk: bytes) -> None:
        """Add received bytes, not none, when `next_message` has asked for more.

        Raises:
            RuntimeError: a message was returned, but not yet `NEED_MORE`. The codec
                may be in the middle of bytes that are at hand.
        """
        if self.buffer.start != self._waiting_at:
            raise RuntimeError("feed only after next_message has returned NEED_MORE")
        self.buffer.feed(chunk)
        self._waiting_at = 0

    def let_go(self) -> None:
        """Forget the bytes of delivered messages, when `next_message` asked for more.

        Feeding does so as well; this is for one who may have to wait long for it.
        """
        if self.buffer.start == self._waiting_at:
            self.buffer.feed(b"")
            self._waiting_at = 0

    def end(self) -> None:
        """Say that the peer has closed: no more bytes will come."""
        self._ending = True

    def next_message(self) -> In | NeedMore:
        """Return the next whole message, or `NEED_MORE` if there is none yet.

        After `end`, `NEED_MORE` means that the stream ended between two messages.

        Raises:
            MalformedMessageError: a message with bad content; call again for the next.
            TruncatedError: the stream ended inside a message.
            FramingError: no more messages can be found; each later call raises again.
        """
        buffer = self.buffer
        try:
            item = next(self._items, NEED_MORE)
        except MalformedMessageError:
            self._waiting_at = buffer.start = buffer.cursor
            self._items = self._codec.decode(buffer)
            buffer.ended = False
            raise
        except Exception as error:
            self._error = error
            raise
        if item is NEED_MORE:
            return self._no_message()
        buffer.start = buffer.cursor
        return item

    def _no_message(self) -> In | NeedMore:
        """Decide what it means that the codec has no message. Once per chunk."""
        buffer = self.buffer
        if self._error is not None:
            raise self._error
        self._waiting_at = buffer.start
        if self._ending and not buffer.ended:
            # Told now, and not before: when it has seen all that there is.
            buffer.ended = True
            return self.next_message()
        if buffer.ended and buffer.start < len(buffer.data):
            self._error = TruncatedError(len(buffer.data) - buffer.start)
            raise self._error
        return NEED_MORE
