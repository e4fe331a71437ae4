"""What a codec makes of one stream: to be the same however the stream is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar, final

import attrs

from trio_tcp._errors import FramingError, MalformedMessageError
from trio_tcp.codecs import NEED_MORE, Decoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Never

    from trio_tcp.codecs import Codec, NeedMore

__all__ = ["CodecRun", "Malformed", "Observation", "cut", "is_same"]

In = TypeVar("In")

MAX_MESSAGES_FROM_NOTHING: Final = 1000
"""How many messages may come without a byte consumed, before it is called endless."""


def cut(stream: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut into chunks of these sizes, over and over."""
    begin = 0
    while begin < len(stream):
        for size in sizes:
            if chunk := stream[begin : begin + size]:
                yield chunk
            begin += size


def is_same(came: object, expected: object) -> bool:
    """Compare, also what is never equal to itself: not a number."""
    return came == expected or repr(came) == repr(expected)


@final
@attrs.frozen(repr=False)
class Malformed:
    """A `MalformedMessageError` among the messages, as text."""

    error: str

    def __repr__(self) -> str:
        return self.error


@final
@attrs.frozen
class Observation:
    """All that can be seen of a codec that decodes a stream to its end.

    Attributes:
        items: the messages, and the errors that stand for malformed ones.
        outcome: the error at the end with its arguments, or how it ended without one.
        consumed: where the first message would begin that was not delivered.
        skipped: how much was skipped as garbage.
    """

    items: list[object]
    outcome: str
    consumed: int
    skipped: int

    def __str__(self) -> str:
        return (
            f"{self.items!r}, then {self.outcome}; "
            f"{self.consumed} bytes consumed, {self.skipped} of them skipped"
        )


@final
class CodecRun(Generic[In]):
    """One decoder, fed chunk by chunk, and what came out of it so far.

    Attributes:
        items: messages, and errors for malformed ones, in their order.
        error: the lost framing as text, or None.
    """

    def __init__(self, codec: Codec[In, Never]) -> None:
        self._decoder = Decoder(codec)
        self._fed = 0
        self.items: list[In | Malformed] = []
        self.error: str | None = None

    @property
    def unread(self) -> int:
        """How many bytes are held that are not yet a message."""
        buffer = self._decoder.buffer
        return len(buffer.data) - buffer.start + buffer.beyond

    def feed(self, chunk: bytes) -> None:
        """Decode what can be decoded with this chunk; nothing after an error.

        Raises:
            AssertionError: the codec breaks the rules for errors, or never ends.
        """
        if chunk and self.error is None:
            self._decoder.feed(chunk)
            self._fed += len(chunk)
            self._drain()

    def end(self, last_chunk: bytes = b"") -> Observation:
        """Say that the stream has ended, with this chunk, and sum up.

        Raises:
            AssertionError: the codec breaks the rules for errors, or never ends.
        """
        if self.error is None:
            if last_chunk:
                self._decoder.feed(last_chunk)
                self._fed += len(last_chunk)
            self._decoder.end()
            self._drain()
        return Observation(
            list(self.items),
            "a clean end" if self.error is None else self.error,
            self._fed - self.unread,
            self._decoder.buffer.skipped,
        )

    def _drain(self) -> None:
        decoder, buffer = self._decoder, self._decoder.buffer
        idle = 0
        while True:
            before, was_ahead = buffer.start, bool(decoder.ready)
            item = self._next_item()
            if item is NEED_MORE:
                return
            if not was_ahead:  # else its bytes were consumed with the batch
                idle = 0 if buffer.start > before else idle + 1
            if idle and isinstance(item, Malformed):
                raise AssertionError(
                    f"promise 4 is broken: {item!r} did not consume its frame, so that "
                    f"the same bytes come again"
                )
            if idle > MAX_MESSAGES_FROM_NOTHING:
                raise AssertionError(
                    f"promise 3 is broken: {item!r} comes again and again, and no byte "
                    f"is consumed"
                )
            self.items.append(item)

    def _next_item(self) -> In | Malformed | NeedMore:
        try:
            return self._decoder.next_message()
        except MalformedMessageError as error:
            return Malformed(_describe(error))
        except FramingError as error:
            self.error = _describe(error)
            return NEED_MORE
        except Exception as error:
            raise AssertionError(
                f"promise 4 is broken: decode raised {error!r}; after that nobody "
                f"knows how to go on, as after MalformedMessageError and FramingError"
            ) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}{error.args!r}"
