from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import FrameTooLargeError, InvalidFrameError
from trio_tcp.codecs import NEED_MORE, Buffer, Decoder, Decoding

Step = tuple[bytes, int, bool]


@given(st.lists(st.tuples(st.binary(max_size=9), st.integers(0, 9), st.booleans())))
def test_what_is_fed_and_not_delivered_is_unread(steps: list[Step]) -> None:
    """However bytes come and go, and whether they are asked for as `bytes` or not."""
    buffer = Buffer()
    expected = b""
    for chunk, size, as_bytes in steps:
        buffer.feed(chunk)
        expected += chunk
        if as_bytes:
            assert buffer.as_bytes()[buffer.start :] == expected
        delivered = min(size, len(expected))
        buffer.cursor += delivered
        buffer.start = buffer.cursor
        expected = expected[delivered:]
        assert buffer.unread() == expected
        assert type(buffer.unread()) is bytes


@pytest.mark.parametrize(
    "chunks", [[b"abcdef"], [b"abc", b"d", b"ef"], [b"ab", b"cdef"]]
)
def test_feeding_keeps_the_place_inside_the_message(chunks: list[bytes]) -> None:
    """A codec that has read the header is not sent back to it."""
    buffer = Buffer(b"old")
    buffer.start = buffer.cursor = 3
    for chunk in chunks:
        buffer.feed(chunk)
    buffer.cursor += 2
    buffer.feed(b"gh")
    assert buffer.data[buffer.cursor :] == b"cdefgh"
    assert buffer.unread() == b"abcdefgh"


def test_exactly_waits_for_all_that_was_asked_for() -> None:
    """And consumes no more."""
    buffer = Buffer(b"ab")
    reading = buffer.exactly(3)
    assert next(reading) is NEED_MORE
    buffer.feed(b"cd")
    with pytest.raises(StopIteration) as info:
        next(reading)
    assert info.value.value == b"abc"
    assert buffer.data[buffer.cursor :] == b"d"


def test_exactly_nothing_is_there_at_once() -> None:
    """An empty payload needs no more bytes."""
    with pytest.raises(StopIteration) as info:
        next(Buffer().exactly(0))
    assert info.value.value == b""


def test_exactly_less_than_nothing_is_an_error_of_the_peer() -> None:
    """Otherwise the bytes before would come again, for ever."""

    class CountsItself:
        """A length of one byte, which is counted."""

        def encode(self, message: bytes, /) -> bytes:
            return bytes([len(message) + 1]) + message

        def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
            while True:
                (size,) = yield from buffer.exactly(1)
                yield (yield from buffer.exactly(size - 1))

    decoder = Decoder(CountsItself())
    decoder.feed(b"\x03ab\x00cd")
    assert decoder.next_message() == b"ab"
    with pytest.raises(InvalidFrameError, match="-1 bytes"):
        decoder.next_message()


@pytest.mark.parametrize("size", range(1, 9))
def test_until_consumes_the_delimiter_and_returns_what_is_before(size: int) -> None:
    """However it is cut."""
    stream = b"a\rbc\r\nd"
    buffer = Buffer()
    reading = buffer.until(b"\r\n", max_bytes=4)
    with pytest.raises(StopIteration) as info:
        for at in range(0, len(stream), size):
            buffer.feed(stream[at : at + size])
            assert next(reading) is NEED_MORE
    assert info.value.value == b"a\rbc"
    assert buffer.data[: buffer.cursor] == b"a\rbc\r\n"


@pytest.mark.parametrize("stream", [b"abcd\r\n", b"abcde"])
def test_until_refuses_more_than_its_limit(stream: bytes) -> None:
    """With the delimiter in sight, and without."""
    reading = Buffer(stream).until(b"\r\n", max_bytes=3)
    with pytest.raises(FrameTooLargeError) as info:
        next(reading)
    assert info.value.args == (None, 3, "max_bytes")


def test_skipped_bytes_are_counted_and_gone() -> None:
    """Also those that the codec had already looked at before."""
    buffer = Buffer(b"abcdef")
    buffer.cursor = 1
    buffer.skip(2)
    buffer.skip(1)
    assert buffer.skipped == 3
    assert buffer.unread() == b"ef"
