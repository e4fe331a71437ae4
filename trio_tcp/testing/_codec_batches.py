"""What a codec that decodes many messages at once has promised besides.

The reference is its own ``decode``: what comes of that alone, and where each message
ends, is what ``decode_batch`` has to give too.
"""

from __future__ import annotations

import contextlib
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

import attrs

from trio_tcp._errors import MalformedMessageError
from trio_tcp.codecs import NEED_MORE, Buffer, Decoder
from trio_tcp.testing._codec_run import is_same

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trio_tcp.codecs import BatchCodec, Codec, NeedMore

__all__ = ["Alone", "BatchPromises", "Item", "items_of"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
@attrs.frozen
class Alone(Generic[In, Out]):
    """A codec as it would be with ``encode`` and ``decode`` alone."""

    codec: Codec[In, Out]

    def encode(self, message: Out, /) -> bytes:
        """Encode with the codec."""
        return self.codec.encode(message)

    def decode(self, buffer: Buffer, /) -> Iterator[In | NeedMore]:
        """Decode with the codec."""
        return self.codec.decode(buffer)


@final
@attrs.frozen
class Item:
    """Something that ``decode`` has come to, and where that ends.

    Attributes:
        message: the message; None if it is malformed.
        end: the index behind it in the stream.
        is_malformed: whether there was an error instead of a message.
    """

    message: object
    end: int
    is_malformed: bool = False


def items_of(codec: Codec[Any, Any], stream: bytes) -> tuple[list[Item], bool]:
    """Return what ``decode`` alone makes of a stream, and whether it was lost there."""
    decoder = Decoder(Alone(codec), Buffer(stream))
    items: list[Item] = []
    start = -1
    # Where no byte is consumed, it never ends: others will tell of that.
    while decoder.buffer.start > start:
        start = decoder.buffer.start
        try:
            message = decoder.next_message()
        except MalformedMessageError:
            items.append(Item(None, decoder.buffer.start, is_malformed=True))
            continue
        except Exception:  # noqa: BLE001 - the framing is lost; or others tell of it
            return items, True
        if message is NEED_MORE:
            return items, False
        items.append(Item(message, decoder.buffer.start))
    return items, False


@final
@attrs.frozen
class BatchPromises(Generic[In, Out]):
    """What one codec has promised with ``decode_batch``."""

    codec: BatchCodec[In, Out]

    def check(self, stream: bytes, counts: Sequence[int]) -> None:
        """Check batches from each boundary on, and what is left of unfinished ones.

        Args:
            stream: whole messages, then any bytes.
            counts: how many messages to take before the others are given back, over
                and over.
        """
        items, _ = items_of(self.codec, stream)
        for index, start in enumerate([0, *(item.end for item in items)]):
            self._check_batch(stream, start, items[index:])
        self._check_rewinding(stream, counts, items)

    def _check_batch(self, stream: bytes, start: int, items: list[Item]) -> None:
        """Hold one batch to what comes of ``decode`` from its beginning on."""
        messages, end = self._call(stream, start)
        expected = items[: len(messages)]
        if not is_same(messages, [item.message for item in expected]) or any(
            item.is_malformed for item in expected
        ):
            raise self._broken("has other messages", stream, start, messages, items)
        expected_end = expected[-1].end if expected else start
        if end != expected_end:
            raise self._broken(
                f"ends at {expected_end}", stream, start, (messages, end), items
            )
        ends = [item.end for item in expected]
        boundaries = self._boundaries(stream, start, len(messages))
        if boundaries != ends:
            raise self._broken(
                f"has its boundaries at {ends}", stream, start, boundaries, items
            )

    def _call(self, stream: bytes, start: int) -> tuple[list[In], int]:
        try:
            return self.codec.decode_batch(stream, start)
        except Exception as error:
            raise self._broken("never raises", stream, start, error, []) from error

    def _boundaries(self, stream: bytes, start: int, count: int) -> list[int]:
        try:
            return list(islice(self.codec.boundaries(stream, start), count))
        except Exception as error:
            raise self._broken("has boundaries", stream, start, error, []) from error

    def _check_rewinding(
        self, stream: bytes, counts: Sequence[int], items: list[Item]
    ) -> None:
        """Take some messages and give the others back, over and over."""
        decoder = Decoder(self.codec, Buffer(stream))
        left = cycle(counts)
        rewind_after = next(left)
        for taken, item in enumerate(items, 1):
            message: Any = None
            with contextlib.suppress(MalformedMessageError):
                message = decoder.next_message()
            if not is_same(message, item.message):
                what = f"has {item.message!r} behind what was given back"
                raise self._broken(what, stream, 0, message, items)
            if taken == rewind_after:
                rewind_after += next(left)
                decoder.rewind()
                start = decoder.buffer.start
                if start != item.end:
                    what = f"gives back what is behind {item.end}"
                    raise self._broken(what, stream, 0, start, items)

    def _broken(
        self, what: str, stream: bytes, start: int, came: object, items: list[Item]
    ) -> AssertionError:
        return AssertionError(
            f"promise 1 is broken: decode_batch gives something else than decode "
            f"alone, which {what}\n"
            f"    codec:    {self.codec!r}\n"
            f"    stream:   {stream!r}\n"
            f"    start:    {start}\n"
            f"    came:     {came!r}\n"
            f"    expected: {items!r}"
        )
