from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator
from typing import cast, final

import attrs
import pytest
from hypothesis import strategies as st

from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    MalformedMessageError,
    TruncatedError,
)
from trio_tcp.codecs import (
    NEED_MORE,
    Buffer,
    Chunks,
    Codec,
    Decoder,
    Decoding,
    FixedLength,
    LengthPrefixed,
    Lines,
    Mapped,
    NeedMore,
)
from trio_tcp.testing import check_codec
from trio_tcp.testing._codec_run import CodecRun

Decode = Callable[[Buffer], Decoding[bytes]]
Batch = tuple[list[bytes], int]


@final
@attrs.frozen
class Prefixed:
    """Messages of up to 100 bytes behind one byte of length, decoded in many ways."""

    decode_with: Decode

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message."""
        if len(message) > 100:
            raise EncodeError("too large")
        return bytes([len(message)]) + message

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Do as the test wants it."""
        return self.decode_with(buffer)


@final
@attrs.frozen
class Zeros:
    """Messages before a zero byte, decoded in many ways."""

    decode_with: Decode

    def encode(self, message: bytes, /) -> bytes:
        """Put a zero behind the message."""
        if b"\0" in message or len(message) > 30:
            raise EncodeError("a zero, or too large")
        return message + b"\0"

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Do as the test wants it."""
        return self.decode_with(buffer)


@final
@attrs.frozen
class Batches:
    """`Prefixed`, with batches made in many ways from a correct one."""

    batch_with: Callable[[bytes, int, Batch], Batch]
    boundaries_with: Callable[[list[int]], list[int]] = list
    most: int = 8

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before the message."""
        return Prefixed(correct).encode(message)

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Decode as it should be."""
        return correct(buffer)

    def decode_batch(self, data: bytes, start: int, /) -> Batch:
        """Do as the test wants it."""
        ends = self._ends(data, start)
        messages = [
            data[begin + 1 : end]
            for begin, end in zip([start, *ends], ends, strict=False)
        ]
        return self.batch_with(data, start, (messages, ends[-1] if ends else start))

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Do as the test wants it."""
        return iter(self.boundaries_with(self._ends(data, start)))

    def _ends(self, data: bytes, start: int) -> list[int]:
        ends: list[int] = []
        while start < len(data) and data[start] <= 100 and len(ends) < self.most:
            start += 1 + data[start]
            if start > len(data):
                break
            ends.append(start)
        return ends


# Both are true of most broken codecs, and hypothesis shows the simpler case.
ARRIVAL_OR_CUTTING = "messages do not arrive as sent|another cutting"

MESSAGES = st.binary(max_size=30)


def failure(
    codec: Codec[bytes, bytes],
    *,
    join: Callable[[list[bytes]], bytes] | None = None,
    max_unread_bytes: int | None = None,
) -> str:
    """Return what `check_codec` has against a codec."""
    with pytest.raises(AssertionError) as info:
        check_codec(codec, MESSAGES, join=join, max_unread_bytes=max_unread_bytes)
    return "\n".join([str(info.value), *getattr(info.value, "__notes__", [])])


def correct(buffer: Buffer) -> Decoding[bytes]:
    """Decode `Prefixed` as it should be."""
    while True:
        (size,) = yield from buffer.exactly(1)
        if size > 100:
            raise FrameTooLargeError(size, 100, "the format")
        yield (yield from buffer.exactly(size))


def until_zero(buffer: Buffer) -> Decoding[bytes]:
    """Decode `Zeros` as it should be."""
    while True:
        yield (yield from buffer.until(b"\0", max_bytes=30))


@pytest.mark.parametrize(
    "codec", [Prefixed(correct), Zeros(until_zero)], ids=["Prefixed", "Zeros"]
)
def test_a_correct_codec_passes(codec: Codec[bytes, bytes]) -> None:
    """What the others do wrong is done right here."""
    check_codec(codec, MESSAGES)


def test_messages_may_be_examples_instead_of_a_strategy() -> None:
    """A list is enough to begin with."""
    check_codec(Prefixed(correct), [b"", b"one", b"two"])


def test_a_codec_that_loses_a_byte_where_the_stream_is_cut_is_caught() -> None:
    """The text says which promise is broken, and with what."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            (size,) = yield from buffer.exactly(1)
            if len(buffer.data) - buffer.cursor < size:
                yield NEED_MORE
                size = min(size, len(buffer.data) - buffer.cursor)
            yield (yield from buffer.exactly(size))

    text = failure(Prefixed(decode))
    assert re.search(ARRIVAL_OR_CUTTING, text)
    for part in ("codec: ", "stream: ", "cut: ", "came: ", "expected: "):
        assert part in text


def test_a_codec_that_delivers_what_is_there_is_caught() -> None:
    """It takes a chunk for a message."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            while buffer.cursor == len(buffer.data):
                yield NEED_MORE
            message = bytes(buffer.data[buffer.cursor + 1 :])
            buffer.cursor = len(buffer.data)
            yield message

    assert re.search(ARRIVAL_OR_CUTTING, failure(Prefixed(decode)))


def test_a_limit_that_depends_on_the_cutting_is_caught() -> None:
    """It is checked only against what is there when the end has not yet come."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            while (found := buffer.data.find(b"\0", buffer.cursor)) < 0:
                size = len(buffer.data) - buffer.cursor
                if size > 30:
                    raise FrameTooLargeError(None, 30, "max_bytes")
                yield NEED_MORE
            message = bytes(buffer.data[buffer.cursor : found])
            buffer.cursor = found + 1
            yield message

    text = failure(Zeros(decode))
    assert "promise 1 is broken: another cutting" in text
    assert "FrameTooLargeError(None, 30, 'max_bytes')" in text


def test_an_error_whose_numbers_depend_on_the_cutting_is_caught() -> None:
    """The size of what is there is not the size of the message."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        try:
            yield from until_zero(buffer)
        except FrameTooLargeError:
            size = len(buffer.data) - buffer.start
            raise FrameTooLargeError(size, 30, "max_bytes") from None

    assert "promise 1 is broken: another cutting" in failure(Zeros(decode))


def test_a_codec_that_makes_a_message_of_the_end_is_caught() -> None:
    """The stream ends, and with it comes a message that nobody has sent."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            yield item
            if buffer.ended:
                yield b""

    assert "do not arrive as sent" in failure(Prefixed(decode))


def test_a_codec_that_swallows_what_is_left_at_the_end_is_caught() -> None:
    """Where the last byte decides what becomes of the others."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            if item is NEED_MORE and len(buffer.data) - buffer.start == 2:
                buffer.skip(len(buffer.data) - buffer.cursor)
            yield item

    assert re.search(ARRIVAL_OR_CUTTING, failure(Prefixed(decode)))


def test_a_codec_that_raises_before_it_delivers_is_caught() -> None:
    """All that is there is checked first, and the whole messages are lost."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            messages: list[bytes] = []
            at = buffer.cursor
            while at < len(buffer.data) and at + buffer.data[at] < len(buffer.data):
                if buffer.data[at] > 100:
                    raise FrameTooLargeError(buffer.data[at], 100, "the format")
                end = at + 1 + buffer.data[at]
                messages.append(bytes(buffer.data[at + 1 : end]))
                at = end
            if at < len(buffer.data) and buffer.data[at] > 100:
                raise FrameTooLargeError(buffer.data[at], 100, "the format")
            for message in messages:
                buffer.cursor += 1 + len(message)
                yield message
            yield NEED_MORE

    assert "promise 1 is broken: another cutting" in failure(Prefixed(decode))


def test_a_codec_that_drops_whole_messages_before_an_error_is_caught() -> None:
    """Even if it does so in every cutting, as it holds the last one back."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        last: list[bytes] = []
        for item in correct(buffer):
            if item is NEED_MORE:
                if buffer.ended and last:
                    yield last.pop()
                yield NEED_MORE
                continue
            if last:
                yield last.pop()
            last.append(item)

    text = failure(Prefixed(decode))
    assert re.search("what was whole does not come|behind a frame does not", text)


def test_state_that_decoders_share_is_caught() -> None:
    """What one decoder has begun, another one finishes."""
    parts: list[int] = []

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            (byte,) = yield from buffer.exactly(1)
            if byte:
                parts.append(byte)
            else:
                message = bytes(parts)
                parts.clear()
                yield message

    text = failure(Zeros(decode))
    assert "decoders share state" in text or "another cutting" in text


def test_state_that_is_left_over_is_caught() -> None:
    """A counter that never starts anew."""
    count = [0]

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            if item is NEED_MORE:
                yield NEED_MORE
            else:
                count[0] += 1
                yield item if count[0] % 100 else b""

    failure(Prefixed(decode))


def test_a_malformed_message_that_takes_the_next_one_with_it_is_caught() -> None:
    """The chunk does not end where the bad frame does."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            if item is not NEED_MORE and not item.isascii():
                buffer.cursor = len(buffer.data)
                raise MalformedMessageError("not ASCII")
            yield item

    @final
    class Ascii:
        def encode(self, message: bytes, /) -> bytes:
            if not message.isascii():
                raise EncodeError("not ASCII")
            return bytes([len(message)]) + message

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            return decode(buffer)

    assert "promise 1 is broken: another cutting" in failure(Ascii())


def test_a_malformed_message_that_comes_again_is_caught() -> None:
    """Its frame must be consumed before the error is raised."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            while buffer.cursor == len(buffer.data):
                yield NEED_MORE
            if buffer.data[buffer.cursor] > 100:
                raise MalformedMessageError("too large")
            (size,) = yield from buffer.exactly(1)
            yield (yield from buffer.exactly(size))

    text = failure(Prefixed(decode))
    assert "promise 4 is broken" in text
    assert "did not consume its frame" in text
    assert "stream: " in text


def test_a_message_that_comes_without_end_is_caught() -> None:
    """A message must move the cursor."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while not buffer.data:
            yield NEED_MORE
        while True:
            yield b"again"

    assert "again and again" in failure(Prefixed(decode))


def test_any_other_exception_from_decode_is_caught() -> None:
    """Here from a length that the codec has not expected."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            if item is not NEED_MORE and len(item) > 20:
                raise IndexError(len(item))
            yield item

    text = failure(Prefixed(decode))
    assert "promise 4 is broken: decode raised IndexError(21)" in text


def test_any_other_exception_from_encode_is_caught() -> None:
    """A message that does not fit is refused with an `EncodeError`."""

    @final
    class Careless:
        def encode(self, message: bytes, /) -> bytes:
            if len(message) > 20:
                raise IndexError(len(message))
            return bytes([len(message)]) + message

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            return correct(buffer)

    assert "encode raised IndexError(21)" in failure(Careless())


def test_a_codec_that_does_not_encode_to_bytes_is_caught() -> None:
    """A `bytearray` could change before it is sent."""

    @final
    class Mutable:
        def encode(self, message: bytes, /) -> bytes:
            return cast("bytes", bytearray(message))

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            return correct(buffer)

    assert "which is not bytes" in failure(Mutable())


def test_a_codec_without_a_limit_is_caught() -> None:
    """It would wait for the end of a message until the memory is full."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            yield (yield from buffer.until(b"\0", max_bytes=1 << 60))

    text = failure(Zeros(decode), max_unread_bytes=10_000)
    assert "promise 2 is broken" in text
    assert "max_unread_bytes (10000)" in text


def test_how_much_a_codec_may_hold_can_be_said() -> None:
    """A correct one passes, unless that is more than is wanted."""
    codec = LengthPrefixed(2, max_bytes=60_000)
    check_codec(codec, MESSAGES)
    text = failure(codec, max_unread_bytes=20_000)
    assert "max_unread_bytes (20000)" in text
    assert "max_unread_bytes (0)" in failure(codec, max_unread_bytes=0)


def test_a_codec_that_refuses_everything_is_caught() -> None:
    """Nothing would have been checked."""
    with pytest.raises(AssertionError, match="refuses nearly all"):
        check_codec(LengthPrefixed(max_bytes=1), [b"abc", b"abcd"])


def test_messages_that_the_codec_refuses_are_left_out() -> None:
    """A strategy need not know the limits to the byte."""
    check_codec(LengthPrefixed(max_bytes=20), MESSAGES)


def test_a_codec_without_boundaries_is_compared_as_a_whole() -> None:
    """With a function that joins messages; without it, it does not pass."""
    check_codec(Chunks(max_bytes=30), MESSAGES, join=b"".join)
    assert re.search(ARRIVAL_OR_CUTTING, failure(Chunks(max_bytes=30)))


def test_a_codec_without_boundaries_that_loses_bytes_is_caught() -> None:
    """The joined messages differ."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while True:
            while buffer.cursor == len(buffer.data):
                yield NEED_MORE
            message = bytes(buffer.data[buffer.cursor :])
            buffer.cursor = len(buffer.data)
            yield message[:7]

    @final
    class Lossy:
        def encode(self, message: bytes, /) -> bytes:
            return message

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            return decode(buffer)

    assert "messages do not arrive as sent" in failure(Lossy(), join=b"".join)


def test_not_a_number_arrives_as_not_a_number() -> None:
    """Though it is not equal to itself."""
    number = struct.Struct("!d")
    codec = Mapped(
        FixedLength(8),
        decode=lambda frame: float(*number.unpack(frame)),
        encode=number.pack,
    )
    check_codec(codec, [math.nan, math.inf, 1.5])


def test_functions_that_change_a_message_are_caught() -> None:
    """What arrives must be what was sent."""
    codec = Mapped(Lines(), decode=str.strip, encode=str)
    with pytest.raises(AssertionError, match="do not arrive as sent"):
        check_codec(codec, st.text("a ", max_size=3))


def test_truncation_is_a_matter_of_the_decoder() -> None:
    """A codec that raises it itself, with a number of its own, does no harm."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        for item in correct(buffer):
            yield item
            if item is NEED_MORE and buffer.ended:
                held = len(buffer.data) - buffer.start
                if held:
                    raise TruncatedError(held)

    check_codec(Prefixed(decode), MESSAGES)


BATCHES = "decode_batch gives something else than decode alone"


def test_a_correct_codec_with_batches_passes() -> None:
    """Of any size, also when a batch is empty although there are messages."""
    check_codec(Batches(lambda _data, _start, batch: batch), MESSAGES)
    check_codec(Batches(lambda _data, start, _batch: ([], start)), MESSAGES)

    def one(data: bytes, start: int, batch: Batch) -> Batch:
        messages, _end = batch
        return messages[:1], start + len(messages[:1]) + len(b"".join(messages[:1]))

    check_codec(Batches(one), MESSAGES)


def test_batches_may_be_absent_with_some_options() -> None:
    """Then nothing is asked of them."""

    @final
    class Without:
        decode_batch = None

        def encode(self, message: bytes, /) -> bytes:
            return Prefixed(correct).encode(message)

        def decode(self, buffer: Buffer, /) -> Iterator[bytes | NeedMore]:
            return correct(buffer)

    check_codec(Without(), MESSAGES)


WRONG_BATCHES: list[tuple[Callable[[bytes, int, Batch], Batch], str]] = [
    (lambda _data, _start, batch: (batch[0], batch[1] + 1), "ends at"),
    (lambda _data, start, batch: (batch[0], start), "ends at"),
    (lambda data, _start, batch: (batch[0], len(data)), "ends at"),
    (lambda _data, _start, batch: (batch[0][1:], batch[1]), "ends at|messages"),
    (lambda _data, _start, batch: (batch[0][::-1], batch[1]), "other messages"),
    (lambda _data, _start, batch: ([*batch[0], b""], batch[1]), "other messages"),
    (
        lambda data, start, _batch: ([data[start:]], len(data)),
        "other messages",
    ),
]


@pytest.mark.parametrize(
    ("batch_with", "expected"), WRONG_BATCHES, ids=map(str, range(len(WRONG_BATCHES)))
)
def test_batches_with_other_messages_or_another_end_are_caught(
    batch_with: Callable[[bytes, int, Batch], Batch], expected: str
) -> None:
    """Each message, and where the last one ends."""
    text = failure(Batches(batch_with))
    assert BATCHES in text
    assert re.search(expected, text)
    for part in ("codec: ", "stream: ", "start: ", "came: ", "expected: "):
        assert part in text


def test_a_batch_with_a_message_over_the_limit_is_caught() -> None:
    """It has to leave that to the generator, which refuses it."""

    @final
    @attrs.frozen
    class Limited:
        batches: Batches = Batches(lambda _data, _start, batch: batch)

        def encode(self, message: bytes, /) -> bytes:
            if len(message) > 3:
                raise EncodeError("too large")
            return self.batches.encode(message)

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            while True:
                (size,) = yield from buffer.exactly(1)
                if size > 3:
                    raise FrameTooLargeError(size, 3, "the format")
                yield (yield from buffer.exactly(size))

        def decode_batch(self, data: bytes, start: int, /) -> Batch:
            return self.batches.decode_batch(data, start)

        def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
            return self.batches.boundaries(data, start)

    text = failure(Limited())
    assert BATCHES in text
    assert "other messages" in text


def test_a_batch_with_a_malformed_message_is_caught() -> None:
    """It has to stop before that."""

    @final
    class Ascii:
        batches = Batches(lambda _data, _start, batch: batch)

        def encode(self, message: bytes, /) -> bytes:
            if not message.isascii():
                raise EncodeError("not ASCII")
            return self.batches.encode(message)

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            for item in correct(buffer):
                if item is not NEED_MORE and not item.isascii():
                    raise MalformedMessageError("not ASCII")
                yield item

        def decode_batch(self, data: bytes, start: int, /) -> Batch:
            return self.batches.decode_batch(data, start)

        def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
            return self.batches.boundaries(data, start)

    assert BATCHES in failure(Ascii())


def test_a_batch_that_raises_is_caught() -> None:
    """Here for what is no mistake at all."""

    def raising(data: bytes, _start: int, batch: Batch) -> Batch:
        if len(batch[0]) > 1:
            raise FrameTooLargeError(len(data), 1, "the format")
        return batch

    text = failure(Batches(raising))
    assert "never raises" in text
    assert "FrameTooLargeError" in text


WRONG_BOUNDARIES: list[Callable[[list[int]], list[int]]] = [
    lambda ends: [end - 1 for end in ends],
    lambda ends: ends[1:],
    lambda ends: ends[:-1],
    lambda ends: [0, *ends],
]


@pytest.mark.parametrize(
    "boundaries_with", WRONG_BOUNDARIES, ids=map(str, range(len(WRONG_BOUNDARIES)))
)
def test_wrong_boundaries_are_caught(
    boundaries_with: Callable[[list[int]], list[int]],
) -> None:
    """Else a message that is given back would be cut at another place."""
    codec = Batches(lambda _data, _start, batch: batch, boundaries_with)
    text = failure(codec)
    assert BATCHES in text
    assert "boundaries" in text


def test_batches_that_consume_nothing_are_caught() -> None:
    """A message that comes without end, many times at once."""

    def decode(buffer: Buffer) -> Decoding[bytes]:
        while not buffer.data:
            yield NEED_MORE
        while True:
            yield b"again"

    @final
    class Endless:
        def encode(self, message: bytes, /) -> bytes:
            return Prefixed(decode).encode(message)

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            return decode(buffer)

        def decode_batch(self, _data: bytes, start: int, /) -> Batch:
            return [b"again"] * 3, start

        def boundaries(self, _data: bytes, start: int, /) -> Iterator[int]:
            return iter([start] * 3)

    assert BATCHES in failure(Endless())
    with pytest.raises(AssertionError, match="again and again"):
        CodecRun(Endless()).feed(b"x")


def test_a_batch_of_very_many_messages_is_not_taken_for_an_endless_one() -> None:
    """All of them were consumed at once."""
    codec = Batches(lambda _data, _start, batch: batch, most=5000)
    decoder = Decoder(codec)
    decoder.feed(codec.encode(b"") * 5000)
    decoder.next_message()
    assert len(decoder.ready) == 4999
    run = CodecRun(codec)
    assert len(run.end(codec.encode(b"") * 5000).items) == 5000
