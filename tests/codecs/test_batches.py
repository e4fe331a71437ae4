from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import FrameTooLargeError, MalformedMessageError
from trio_tcp.codecs import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    NEED_MORE,
    Buffer,
    Chunks,
    Codec,
    Decoder,
    Decoding,
    Delimited,
    FixedLength,
    Json,
    LengthField,
    LengthPrefixed,
    Lines,
    Mapped,
    MessagePack,
    Netstrings,
    VarintPrefixed,
)
from trio_tcp.codecs._batch_codec import batch_codec
from trio_tcp.testing import check_codec


@final
@attrs.frozen
class Alone:
    """A codec without its batches."""

    codec: Codec[Any, Any]

    def encode(self, message: object, /) -> bytes:
        """Encode with the codec."""
        return self.codec.encode(message)

    def decode(self, buffer: Buffer, /) -> Iterator[Any]:
        """Decode with the codec."""
        return self.codec.decode(buffer)


TEXTS = ["", "a", "\u00e9" * 40, "\u20ac\r x", "x" * 100, "12", "y" * 2100]
BYTES = [text.encode() for text in TEXTS]

CODECS: list[tuple[Codec[Any, Any], list[Any]]] = [
    (FixedLength(3), [b"abc", b"\r\n\0"]),
    (Lines(), TEXTS),
    (Lines(newline="\r\n"), TEXTS),
    (Lines("latin-1"), ["", "\u00e9" * 40]),
    (Lines("ascii", allow_unterminated=True), ["", "abc"]),
    (Delimited(b"\0"), BYTES),
    (Delimited(b"aab", b"ab", b"c\n"), BYTES),
    (LengthPrefixed(), BYTES),
    (LengthPrefixed(3), BYTES),
    (LengthPrefixed(3, byteorder="little"), BYTES),
    (VarintPrefixed(), [*BYTES, b"x" * 300]),
    (Netstrings(), BYTES),
    (LengthField(offset=1, size=2, strip_header=3, strip_trailer=1), BYTES),
    (
        LengthField(offset=2, strip_header=6, magic=b"AB", max_garbage_bytes=100),
        BYTES,
    ),
    (Mapped(Lines(), decode=int, encode=str), list(range(0, 3000, 7))),
    (Mapped(Mapped(Lines(), decode=int, encode=str), decode=float, encode=int), [1.0]),
    (Json(), [None, 1, "\u00e9", [1, {"a": 2}]]),
    (MessagePack(), [None, 1, "\u00e9", [1, {"a": 2}]]),
]


IDS = [f"{number}-{type(codec).__name__}" for number, (codec, _) in enumerate(CODECS)]


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=IDS)
def test_batches_keep_the_promises_with_limits_as_they_are_by_default(
    codec: Codec[Any, Any], messages: list[Any]
) -> None:
    """Where many messages are smaller than what is looked at."""
    assert batch_codec(codec) is not None
    check_codec(codec, messages)


def observe(codec: Codec[Any, Any], stream: bytes, chunk_bytes: int) -> list[Any]:
    """Decode a stream, and return all that is seen, with where each message ends."""
    decoder = Decoder(codec)
    seen: list[Any] = []
    for at in range(0, len(stream), chunk_bytes):
        decoder.feed(stream[at : at + chunk_bytes])
        while True:
            try:
                message = decoder.next_message()
            except MalformedMessageError as error:
                message = repr(error)
            if message is NEED_MORE:
                break
            seen.append(message)
    return [*seen, decoder.buffer.unread()]


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=IDS)
def test_long_streams_give_the_same_as_without_batches(
    codec: Codec[Any, Any], messages: list[Any]
) -> None:
    """Over many batches, with each of them full."""
    frames = [codec.encode(message) for message in messages]
    stream = b"".join(frames) + frames[0] * 3 * BATCH_MESSAGES + b"".join(frames * 20)
    stream = stream[:-1]
    expected = observe(Alone(codec), stream, len(stream))
    for chunk_bytes in (1000, BATCH_BYTES, 65_536):
        assert observe(codec, stream, chunk_bytes) == expected


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=IDS)
def test_what_was_decoded_ahead_can_be_given_back_at_any_message(
    codec: Codec[Any, Any], messages: list[Any]
) -> None:
    """To the byte, as if it had never been decoded."""
    stream = b"".join(map(codec.encode, messages * 4))
    alone = Decoder(Alone(codec), Buffer(stream))
    ahead = Decoder(codec, Buffer(stream))
    for count in range(4 * len(messages)):
        assert ahead.next_message() == alone.next_message()
        if count % 5 in {0, 2}:
            ahead.rewind()
            assert ahead.buffer.unread() == alone.buffer.unread()
            assert not ahead.ready


@pytest.mark.parametrize(
    "codec",
    [
        Chunks(),
        Lines("shift_jis"),
        Mapped(Chunks(), decode=bytes, encode=bytes),
        Json(framing=Chunks()),
        MessagePack(framing=Chunks()),
    ],
    ids=str,
)
def test_other_codecs_have_no_batches(codec: Codec[Any, Any]) -> None:
    """Then their generator does it all."""
    assert batch_codec(codec) is None


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=IDS)
def test_a_batch_is_small(codec: Codec[Any, Any], messages: list[Any]) -> None:
    """A handler that stops early has not had much decoded for nothing."""
    stream = codec.encode(messages[0]) * 10 * BATCH_MESSAGES
    decoder = Decoder(codec, Buffer(stream))
    decoder.next_message()
    assert 0 < len(decoder.ready) < BATCH_MESSAGES


@given(st.text("a\r\n\u00e9\u20ac", max_size=300), st.integers(0, 5))
def test_lines_are_the_same_with_and_without_batches(text: str, repeated: int) -> None:
    """Short ones, long ones, and both line ends; more than fit into one batch."""
    stream = (text + "\n" * 50 * repeated).encode()
    assert observe(Lines(), stream, 1 << 20) == observe(Alone(Lines()), stream, 1 << 20)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xe2\x82"])
def test_lines_before_one_of_bad_text_come_in_a_batch(bad: bytes) -> None:
    """It ends there, and nothing is lost."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\ntwo\nthr" + bad + b"\nfour\nfive\n")
    assert [decoder.next_message(), *decoder.ready] == ["one", "two"]
    decoder.ready.clear()
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    assert [decoder.next_message(), decoder.next_message()] == ["four", "five"]


def test_a_function_of_yours_sees_each_good_message_once() -> None:
    """But for one that it refuses: behind others in a batch, first, and alone."""
    seen: list[str] = []

    def decode(text: str) -> int:
        seen.append(text)
        return int(text)

    decoder = Decoder(Mapped(Lines(), decode=decode, encode=str))
    decoder.feed(b"1\n2\nthree\n4\nfi")
    assert [decoder.next_message(), decoder.next_message()] == [1, 2]
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    assert decoder.next_message() == 4
    assert decoder.next_message() is NEED_MORE
    decoder.feed(b"ve\n")
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    assert seen == ["1", "2", *["three"] * 3, "4", "five"]


def test_a_message_over_the_limit_comes_behind_those_before_it() -> None:
    """With the limit where the others all fit into a batch."""
    for codec in (LengthPrefixed(max_bytes=9), VarintPrefixed(max_bytes=9)):
        stream = codec.encode(b"123456789") * 3
        stream += (
            LengthPrefixed()
            .encode(b"x" * 10)
            .removeprefix(b"" if isinstance(codec, LengthPrefixed) else bytes(3))
        )
        decoder = Decoder[bytes](codec, Buffer(stream))
        for _ in range(3):
            assert decoder.next_message() == b"123456789"
        with pytest.raises(FrameTooLargeError):
            decoder.next_message()


@final
class Counting:
    """Counts how often batches are asked for, and how much is looked at."""

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self.codec = codec
        batches = batch_codec(codec)
        assert batches is not None
        self.boundaries = batches.boundaries
        self._decode_batch: Callable[[bytes, int], tuple[list[Any], int]] = (
            batches.decode_batch
        )
        self.calls = 0
        self.bytes_at_hand = 0

    def encode(self, message: object, /) -> bytes:
        """Encode with the codec."""
        return self.codec.encode(message)

    def decode(self, buffer: Buffer, /) -> Decoding[Any]:
        """Decode with the codec."""
        yield from self.codec.decode(buffer)

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[Any], int]:
        """Decode with the codec, and count."""
        self.calls += 1
        self.bytes_at_hand += len(data) - start
        return self._decode_batch(data, start)


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=IDS)
def test_batches_are_asked_for_only_where_a_message_begins(
    codec: Codec[Any, Any], messages: list[Any]
) -> None:
    """Byte by byte, that is once for each message, with its first byte."""
    counting = Counting(codec)
    stream = b"".join(map(codec.encode, messages * 2))
    *received, rest = observe(counting, stream, 1)
    assert received == messages * 2
    assert rest == b""
    assert counting.calls == len(received)
    assert counting.bytes_at_hand == len(received)


def test_after_a_bad_message_there_are_no_batches_until_the_next_chunk() -> None:
    """Else each bad one could cost as much as a batch."""
    counting = Counting(Mapped(Lines(), decode=int, encode=str))
    chunk = b"bad\n1\n" * 100
    *messages, rest = observe(counting, chunk, len(chunk))
    assert messages[1::2] == [1] * 100
    assert rest == b""
    assert counting.calls == 1
    decoder = Decoder(counting)
    for _ in range(2):
        decoder.feed(b"bad\n1\n2\n")
        with pytest.raises(MalformedMessageError):
            decoder.next_message()
        assert list(iter(decoder.next_message, NEED_MORE)) == [1, 2]
        decoder.feed(b"1\n2\n3\n")
        assert [decoder.next_message(), decoder.next_message()] == [1, 2]
        assert list(decoder.ready) == [3]
        assert list(iter(decoder.next_message, NEED_MORE)) == [3]
