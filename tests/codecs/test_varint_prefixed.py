from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from trio_tcp import (
    FrameTooLargeError,
    InvalidFrameError,
    MessageTooLargeError,
    TruncatedError,
)
from trio_tcp.codecs import Decoder, VarintPrefixed
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@pytest.mark.parametrize("max_bytes", [1, 100, 300, 20_000])
def test_it_keeps_the_promises_of_a_codec(max_bytes: int) -> None:
    """All that codecs promise holds, whatever the limit."""
    codec = VarintPrefixed(max_bytes=max_bytes)
    check_codec(codec, st.binary(max_size=min(max_bytes, 310)))


@pytest.mark.parametrize(
    ("size", "prefix"),
    [
        (0, b"\x00"),
        (1, b"\x01"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
    ],
)
def test_seven_bits_of_the_length_are_in_each_byte(size: int, prefix: bytes) -> None:
    """The prefix is what protobuf would write."""
    frame = VarintPrefixed().encode(b"x" * size)
    assert frame == prefix + b"x" * size
    decoder = Decoder(VarintPrefixed())
    decoder.feed(frame)
    assert decoder.next_message() == b"x" * size


def test_a_length_may_be_written_with_more_bytes_than_it_needs(decode: Decode) -> None:
    """As in protobuf, ten bytes are read, and most of them may be for nothing."""
    prefix = b"\x82" + b"\x80" * 8 + b"\x00"
    assert decode(VarintPrefixed(), prefix + b"hi") == ([b"hi"], None)


def test_a_length_of_more_than_ten_bytes_is_none(decode: Decode) -> None:
    """A prefix without an end is refused."""
    messages, error = decode(VarintPrefixed(), b"\x01a" + b"\x80" * 10)
    assert messages == [b"a"]
    assert isinstance(error, InvalidFrameError)
    assert "more than 10 bytes" in str(error)


def test_one_byte_more_than_the_limit_is_not_sent() -> None:
    """The limit itself is allowed; beyond it, the error has the numbers."""
    codec = VarintPrefixed(max_bytes=200)
    assert codec.encode(b"x" * 200)
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(b"x" * 201)
    assert info.value.args == (201, 200, "max_bytes")


def test_one_byte_more_than_the_limit_is_not_received(decode: Decode) -> None:
    """The announcement is enough to refuse it."""
    messages, error = decode(VarintPrefixed(max_bytes=3), b"\x03abc\x04")
    assert messages == [b"abc"]
    assert isinstance(error, FrameTooLargeError)
    assert error.args == (4, 3, "max_bytes")


@pytest.mark.parametrize("received", [1, 2, 3, 100, 201])
def test_a_stream_that_ends_inside_a_frame_is_truncated(
    decode: Decode, received: int
) -> None:
    """Also when it ends inside the length."""
    frame = VarintPrefixed().encode(b"x" * 200)
    messages, error = decode(VarintPrefixed(), b"\x00" + frame[:received])
    assert messages == [b""]
    assert isinstance(error, TruncatedError)
    assert error.received == received
