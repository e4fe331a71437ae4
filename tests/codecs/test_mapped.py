from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import strategies as st

from trio_tcp import EncodeError, MalformedMessageError, MessageTooLargeError
from trio_tcp.codecs import FixedLength, LengthPrefixed, Lines, Mapped
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@attrs.frozen
class Point:
    """Something that is not bytes."""

    x: int
    y: int


POINT = struct.Struct("!hh")


def read_point(frame: bytes) -> Point:
    """Read a point that may have any coordinates but 0, 0."""
    x, y = POINT.unpack(frame)
    if x == y == 0:
        raise LookupError("nowhere")
    return Point(x, y)


def write_point(point: Point) -> bytes:
    """Write what `read_point` reads."""
    return POINT.pack(point.x, point.y)


POINTS = Mapped(FixedLength(POINT.size), decode=read_point, encode=write_point)


def with_checksum(payload: bytes) -> bytes:
    """Put a checksum behind the payload."""
    return payload + zlib.crc32(payload).to_bytes(4, "big")


def without_checksum(frame: bytes) -> bytes:
    """Check the checksum and remove it."""
    if with_checksum(frame[:-4]) != frame:
        raise ValueError("wrong checksum")
    return frame[:-4]


CHECKED = Mapped(
    LengthPrefixed(2, max_bytes=100), decode=without_checksum, encode=with_checksum
)


def test_it_keeps_the_promises_of_a_codec() -> None:
    """All that codecs promise holds for objects of the user's own."""
    numbers = st.integers(-(1 << 15), (1 << 15) - 1)
    check_codec(POINTS, st.builds(Point, numbers, st.integers(1, 9)))


def test_checksums_keep_the_promises_of_a_codec() -> None:
    """All that codecs promise holds where damage is noticed."""
    check_codec(CHECKED, st.binary(max_size=96))


def test_it_keeps_the_promises_over_itself() -> None:
    """All that codecs promise holds for a function over a function."""
    whole = Mapped(Lines(max_bytes=20), decode=int, encode=str)
    codec = Mapped(whole, decode=float, encode=round)
    check_codec(codec, st.integers(-1000, 1000).map(float))


def test_messages_are_objects_of_the_users_own(decode: Decode) -> None:
    """Two functions turn frames into them and back."""
    frame = POINTS.encode(Point(1, -1))
    assert frame == b"\x00\x01\xff\xff"
    assert decode(POINTS, frame) == ([Point(1, -1)], None)


def test_a_frame_that_decode_refuses_is_malformed_and_the_next_one_follows(
    decode: Decode,
) -> None:
    """Whatever it raises is the cause, and is named in the text."""
    stream = POINTS.encode(Point(0, 0)) + POINTS.encode(Point(1, 2))
    (bad, good), error = decode(POINTS, stream)
    assert isinstance(bad, MalformedMessageError)
    assert isinstance(bad.__cause__, LookupError)
    assert "LookupError: nowhere" in str(bad)
    assert good == Point(1, 2)
    assert error is None


def test_a_malformed_message_of_the_users_own_passes_as_it_is(decode: Decode) -> None:
    """A function may say it itself."""

    class NoPoint(MalformedMessageError):
        pass

    def refuse(frame: bytes) -> Point:
        raise NoPoint(frame)

    codec = Mapped(FixedLength(1), decode=refuse, encode=write_point)
    (error,), _end = decode(codec, b"x")
    assert isinstance(error, NoPoint)
    assert error.args == (b"x",)


def test_a_malformed_message_of_the_framing_passes_as_it_is(decode: Decode) -> None:
    """The functions see whole frames with good content only."""
    codec = Mapped(Lines(), decode=int, encode=str)
    (bad, good), error = decode(codec, b"\xff\n12\n")
    assert isinstance(bad.__cause__, UnicodeDecodeError)
    assert good == 12
    assert error is None


def test_a_message_that_encode_refuses_is_not_sent() -> None:
    """Whatever it raises is the cause, and is named in the text."""
    with pytest.raises(EncodeError, match="error: ") as info:
        POINTS.encode(Point(1 << 20, 0))
    assert isinstance(info.value.__cause__, struct.error)


def test_an_encode_error_of_the_users_own_passes_as_it_is() -> None:
    """A function may say it itself."""

    def refuse(message: Point) -> bytes:
        raise MessageTooLargeError(7, 5, "my_limit")

    codec = Mapped(FixedLength(1), decode=read_point, encode=refuse)
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(Point(1, 2))
    assert info.value.option == "my_limit"


def test_the_limits_are_those_of_the_framing() -> None:
    """What the functions make of a message is what is counted."""
    assert CHECKED.encode(b"x" * 96)
    with pytest.raises(MessageTooLargeError) as info:
        CHECKED.encode(b"x" * 97)
    assert info.value.args == (101, 100, "max_bytes")
