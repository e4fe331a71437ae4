"""Runs a codec over bytes as they come: the sans-IO half of receiving.

This is where the promises that all codecs share are kept in one place: what was whole
before an error comes before the error, a malformed message does not end the stream, a
lost framing does, and an unfinished message at the end is an error of its own.

A codec that can decode many messages at once (`BatchCodec`) is asked for these first,
between two messages, and one that can tell how far a large message reaches
(`LargeCodec`) is asked for that; its generator is for what else is cut off, or wrong.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Generic, Never, TypeVar, final

from trio_tcp._errors import MalformedMessageError, TruncatedError
from trio_tcp.codecs._batch_codec import batch_codec
from trio_tcp.codecs._buffer import Buffer
from trio_tcp.codecs._codec import NEED_MORE, NeedMore
from trio_tcp.codecs._large_codec import LARGE_BYTES, LargeMessage, large_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._batch_codec import DecodeBatch
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
        ready: messages that were decoded ahead, the next one last, for `next_message`.
            They are not in the buffer any more; `rewind` puts them back.
    """

    __slots__ = (
        "_batch_codec",
        "_batch_size",
        "_batch_start",
        "_codec",
        "_decode_batch",
        "_ending",
        "_error",
        "_items",
        "_large",
        "_large_codec",
        "_waiting_at",
        "buffer",
        "ready",
    )

    def __init__(self, codec: Codec[In, Never], buffer: Buffer | None = None) -> None:
        self.buffer: Buffer = Buffer() if buffer is None else buffer
        self.ready: list[In] = []
        self._codec = codec
        self._batch_codec = batch_codec(codec)
        self._decode_batch: DecodeBatch[In] | None = None
        self._allow_batches()
        self._batch_start = 0
        self._batch_size = 0
        self._large_codec = large_codec(codec)
        self._large: LargeMessage | None = None  # that has begun to arrive
        # None between two messages, where the codec need not remember anything.
        self._items: Iterator[In | NeedMore] | None = None
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
        buffer = self.buffer
        start = buffer.start
        if start != self._waiting_at:
            raise RuntimeError("feed only after next_message has returned NEED_MORE")
        if start == len(buffer.data):
            # As `Buffer.feed` does it, without the call: between messages, the rule.
            buffer.data = chunk
            buffer.start = 0
            buffer.cursor -= start
            self._waiting_at = 0
        elif self._large is None:
            buffer.feed(chunk)
            self._waiting_at = 0
        else:
            self._large.add(chunk)

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

    def next_message(self) -> In | NeedMore:  # noqa: C901 - each chunk goes through here
        """Return the next whole message, or `NEED_MORE` if there is none yet.

        After `end`, `NEED_MORE` means that the stream ended between two messages.

        Raises:
            MalformedMessageError: a message with bad content; call again for the next.
            TruncatedError: the stream ended inside a message.
            FramingError: no more messages can be found; each later call raises again.
        """
        if self.ready:
            return self.ready.pop()
        if self._items is None:
            buffer = self.buffer
            if self._decode_batch is not None:
                start = buffer.start
                data = buffer.data
                if start < len(data):
                    if self._large is not None:
                        return self._next_large(self._large)
                    if not isinstance(data, bytes):
                        data = buffer.as_bytes()
                    messages, end = self._decode_batch(data, start)
                    if messages:
                        buffer.start = buffer.cursor = end
                        return (
                            messages[0]
                            if len(messages) == 1
                            else self._first_of(messages, start)
                        )
                    if self._large_codec is not None and self._begin_large(data):
                        return NEED_MORE
                else:
                    # Such a codec has nothing to say about an end between two messages.
                    self._waiting_at = start
                    buffer.ended = self._ending
                    return NEED_MORE
            self._items = self._codec.decode(buffer)
        return self._next_item(self._items)

    def rewind(self) -> None:
        """Take back the messages that were decoded ahead.

        Then all that is not delivered is in the buffer, from its `Buffer.start` on.
        """
        if self._large is not None:
            self._large.put_back()
            self._large = None
        if self.ready:
            assert self._batch_codec is not None
            buffer = self.buffer
            delivered = self._batch_size - len(self.ready)
            ends = self._batch_codec.boundaries(buffer.as_bytes(), self._batch_start)
            start = next(islice(ends, delivered - 1, None))
            buffer.start = buffer.cursor = start
            self.ready.clear()

    def _allow_batches(self) -> None:
        if self._batch_codec is not None:
            self._decode_batch = self._batch_codec.decode_batch

    def _first_of(self, messages: list[In], start: int) -> In:
        """Keep the others for later."""
        self._batch_start, self._batch_size = start, len(messages)
        messages.reverse()
        self.ready.extend(messages)
        return self.ready.pop()

    def _begin_large(self, data: bytes) -> bool:
        """Keep a large message that is not all there in pieces."""
        assert self._large_codec is not None
        buffer = self.buffer
        if self._ending:
            return False  # it never will be
        extent = self._large_codec.extent(data, buffer.start)
        if extent is None or extent.size < LARGE_BYTES:
            return False
        if not extent.begin <= len(data) - buffer.start < extent.size:
            return False
        self._large = LargeMessage(buffer, extent)
        self._waiting_at = buffer.start
        return True

    def _next_large(self, large: LargeMessage) -> In | NeedMore:
        """Return a large message, if it is all there."""
        assert self._large_codec is not None
        if large.missing > 0:
            if self._ending:
                self.rewind()  # it never will be
                return self.next_message()
            return NEED_MORE
        self._large = None
        payload = large.take()
        self._waiting_at = self.buffer.start
        return self._large_codec.from_payload(payload)

    def _next_item(self, items: Iterator[In | NeedMore]) -> In | NeedMore:
        """Let the codec's generator go on."""
        buffer = self.buffer
        try:
            item = next(items, NEED_MORE)
        except MalformedMessageError:
            self._waiting_at = buffer.start = buffer.cursor
            self._items = None
            buffer.ended = False
            # Where one is bad many may be, each the end of a batch that was decoded
            # for less. So no more batches, until there are more bytes.
            self._decode_batch = None
            raise
        except Exception as error:
            self._error = error
            raise
        if item is NEED_MORE:
            return self._no_message()
        buffer.start = buffer.cursor
        if self._decode_batch is not None:
            self._items = None
        return item

    def _no_message(self) -> In | NeedMore:
        """Decide what it means that the codec has no message. Once per chunk."""
        buffer = self.buffer
        if self._error is not None:
            raise self._error
        self._allow_batches()
        self._waiting_at = buffer.start
        if self._ending and not buffer.ended:
            # Told now, and not before: when it has seen all that there is.
            buffer.ended = True
            return self.next_message()
        if buffer.ended and buffer.start < len(buffer.data):
            self._error = TruncatedError(len(buffer.data) - buffer.start)
            raise self._error
        return NEED_MORE
