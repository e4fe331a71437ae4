from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from trio_tcp import FrameTooLargeError, MessageTooLargeError, TruncatedError
from trio_tcp.codecs import Decoder, LengthPrefixed
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode
    from trio_tcp.codecs._integers import ByteOrder, IntegerSize

SIZES: list[IntegerSize] = [1, 2, 3, 4, 8]


@pytest.mark.parametrize("size", SIZES)
def test_it_keeps_the_promises_of_a_codec(size: IntegerSize) -> None:
    """All that codecs promise holds for any size of the prefix."""
    codec = LengthPrefixed(size, max_bytes=100)
    check_codec(codec, st.binary(max_size=110))


def test_it_keeps_the_promises_with_the_lowest_byte_first() -> None:
    """All that codecs promise holds for the other byte order, with default limits."""
    check_codec(LengthPrefixed(byteorder="little"), [b"", b"a", b"x" * 300])


@pytest.mark.parametrize(
    ("size", "byteorder", "frame"),
    [
        (1, "big", b"\x02hi"),
        (2, "big", b"\x00\x02hi"),
        (3, "little", b"\x02\x00\x00hi"),
        (4, "big", b"\x00\x00\x00\x02hi"),
        (8, "little", b"\x02\x00\x00\x00\x00\x00\x00\x00hi"),
    ],
)
def test_the_length_stands_before_the_message(
    decode: Decode, size: IntegerSize, byteorder: ByteOrder, frame: bytes
) -> None:
    """The length is written in the size and order that was asked for."""
    codec = LengthPrefixed(size, byteorder=byteorder)
    assert codec.encode(b"hi") == frame
    assert decode(codec, frame) == ([b"hi"], None)


def test_empty_messages_are_messages(decode: Decode) -> None:
    """A length of zero is as good as any."""
    assert decode(LengthPrefixed(1), b"\x00\x01a\x00") == ([b"", b"a", b""], None)


def test_the_largest_message_passes_in_both_directions(decode: Decode) -> None:
    """The limit itself is allowed."""
    codec = LengthPrefixed(1, max_bytes=5)
    assert decode(codec, codec.encode(b"12345")) == ([b"12345"], None)


def test_one_byte_more_is_not_sent() -> None:
    """The error has the numbers, and names the option to change."""
    with pytest.raises(MessageTooLargeError, match=r"6 bytes.*max_bytes.*5") as info:
        LengthPrefixed(max_bytes=5).encode(b"123456")
    assert (info.value.size, info.value.limit, info.value.option) == (6, 5, "max_bytes")


def test_one_byte_more_is_not_received(decode: Decode) -> None:
    """What was whole comes first, then an error that has the numbers."""
    messages, error = decode(LengthPrefixed(1, max_bytes=5), b"\x05hello\x06")
    assert messages == [b"hello"]
    assert isinstance(error, FrameTooLargeError)
    assert (error.size, error.limit, error.option) == (6, 5, "max_bytes")
    assert "6 bytes, more than max_bytes allows (5)" in str(error)


def test_a_too_large_message_is_refused_at_its_announcement() -> None:
    """Nobody waits for, or stores, what will be refused anyway."""
    decoder = Decoder(LengthPrefixed(8))
    decoder.feed(b"\xff" * 8)
    with pytest.raises(FrameTooLargeError):
        decoder.next_message()


class Long(bytes):
    """Says that it is longer than any memory."""

    __slots__ = ()

    def __len__(self) -> int:
        return 1 << 32


@pytest.mark.parametrize(
    ("size", "message", "largest"),
    [
        (1, b"x" * (1 << 8), 255),
        (2, b"x" * (1 << 16), 65_535),
        (3, b"x" * (1 << 24), 16_777_215),
        (4, Long(), 4_294_967_295),
    ],
)
def test_a_message_that_the_prefix_cannot_express_is_refused(
    size: IntegerSize, message: bytes, largest: int
) -> None:
    """Each size of the prefix has a limit of its own, which the error names."""
    codec = LengthPrefixed(size, max_bytes=1 << 33)
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(message)
    assert info.value.args == (largest + 1, largest, "prefix_size")


@pytest.mark.parametrize("received", range(1, 9))
def test_a_stream_that_ends_inside_a_frame_is_truncated(
    decode: Decode, received: int
) -> None:
    """The error says how much of the frame had arrived, prefix and all."""
    frame = LengthPrefixed().encode(b"hello")
    messages, error = decode(LengthPrefixed(), frame + frame[:received])
    assert messages == [b"hello"]
    assert isinstance(error, TruncatedError)
    assert error.received == received


@pytest.mark.parametrize(
    "options",
    [{"prefix_size": 5}, {"byteorder": "middle"}, {"max_bytes": 0}],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """Options are checked when the codec is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        LengthPrefixed(**options)
