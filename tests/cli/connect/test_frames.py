from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp import codecs
from trio_tcp.cli._connect._frames import Frame, Frames

CODECS: list[codecs.Codec[Any, Any]] = [
    codecs.Netstrings(),
    codecs.LengthPrefixed(prefix_size=2),
    codecs.VarintPrefixed(),
    codecs.Delimited(b"\r\n"),
]


class Parcels:
    """A length in one byte, then so many; the length is consumed before the rest."""

    def encode(self, message: bytes, /) -> bytes:
        """Put the length before it."""
        return bytes([len(message)]) + message

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[bytes]:
        """Take one after the other."""
        while True:
            (size,) = yield from buffer.exactly(1)
            yield (yield from buffer.exactly(size))


def decode(frames: Frames, chunks: list[bytes]) -> tuple[list[Frame], Exception | None]:
    """Return the frames in these chunks, and what comes at their end."""
    decoder = codecs.Decoder(frames)
    found: list[Frame] = []
    try:
        for chunk in chunks:
            decoder.feed(chunk)
            while (frame := decoder.next_message()) is not codecs.NEED_MORE:
                found.append(frame)
        decoder.end()
        while (frame := decoder.next_message()) is not codecs.NEED_MORE:
            found.append(frame)
    except trio_tcp.FramingError as error:
        return found, error
    return found, None


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into chunks."""
    places = draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=8))
    ends = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[begin:end] for begin, end in pairwise(ends)]


@given(
    st.data(),
    st.sampled_from(CODECS),
    st.lists(st.binary(max_size=20).map(lambda text: text.replace(b"\r\n", b""))),
)
def test_each_message_has_its_own_bytes(
    data: st.DataObject, codec: codecs.Codec[bytes, bytes], messages: list[bytes]
) -> None:
    """However they were cut: what the codec makes of a message, and nothing else."""
    messages = [message for message in messages if b"\r\n" not in message]
    encoded = [codec.encode(message) for message in messages]
    frames, error = decode(Frames(codec), data.draw(cut(b"".join(encoded))))
    assert error is None
    assert frames == [Frame(*pair) for pair in zip(encoded, messages, strict=True)]


def test_what_is_malformed_is_a_frame_between_others() -> None:
    """With its bytes, and the reason; what follows is decoded."""
    numbers = codecs.Mapped(codecs.Lines(), decode=int, encode=str)
    frames, error = decode(Frames(numbers), [b"1\ntw", b"o\n3\n"])
    assert error is None
    assert [frame.message for frame in frames] == [1, None, 3]
    assert frames[1].data == b"two\n"
    assert isinstance(frames[1].error, trio_tcp.MalformedMessageError)


def test_what_breaks_the_framing_is_the_last_frame() -> None:
    """Then comes the error that comes without frames, too."""
    frames, error = decode(Frames(codecs.Netstrings()), [b"2:hi,HTTP/1.1 400\r\n"])
    assert isinstance(error, trio_tcp.InvalidFrameError)
    assert [frame.data for frame in frames] == [b"2:hi,", b"HTTP/1.1 400\r\n"]
    assert frames[1].error is error


@pytest.mark.parametrize(
    ("codec", "unfinished"),
    [
        (codecs.Lines(), b"a prompt without a line end> "),
        (Parcels(), b"\x05"),
        (codecs.LengthPrefixed(prefix_size=2), b"\x00\x05he"),
        (codecs.LengthPrefixed(prefix_size=2), b"\x00"),
        (codecs.LengthPrefixed(prefix_size=2), b"\x00\x05"),
    ],
)
def test_what_is_left_unfinished_is_the_last_frame(
    codec: codecs.Codec[Any, Any], unfinished: bytes
) -> None:
    """Then comes the error that says so, with the number of its bytes."""
    frames, error = decode(Frames(codec), [unfinished])
    assert isinstance(error, trio_tcp.TruncatedError)
    assert error.received == len(unfinished)
    assert [frame.data for frame in frames] == [unfinished]
    assert isinstance(frames[0].error, trio_tcp.TruncatedError)


def test_a_last_line_without_an_end_is_a_message_where_it_may_be() -> None:
    """The codec decides that."""
    codec = codecs.Lines(allow_unterminated=True)
    assert decode(Frames(codec), [b"one\ntwo"]) == (
        [Frame(b"one\n", "one"), Frame(b"two", "two")],
        None,
    )


def test_skipped_garbage_is_no_part_of_a_frame() -> None:
    """Where a codec finds its way back."""
    codec = codecs.LengthField(
        offset=2, size=1, magic=b"\xaa\x55", max_garbage_bytes=100
    )
    frame = codec.encode(b"\xaa\x55\x00hi")
    frames, error = decode(Frames(codec), [b"noise" + frame + b"noise" + frame])
    assert error is None
    assert [frame.data for frame in frames] == [frame, frame]
