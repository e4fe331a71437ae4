from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from trio_tcp import EncodeError, TruncatedError
from trio_tcp.codecs import FixedLength
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@pytest.mark.parametrize("size", [1, 2, 5, 300])
def test_it_keeps_the_promises_of_a_codec(size: int) -> None:
    """All that codecs promise holds for any size."""
    check_codec(FixedLength(size), st.binary(min_size=size, max_size=size))


def test_each_size_bytes_are_a_message(decode: Decode) -> None:
    """Nothing but the size says where a message ends."""
    assert decode(FixedLength(2), b"aabbcc") == ([b"aa", b"bb", b"cc"], None)


@pytest.mark.parametrize("message", [b"", b"ab", b"abcd"])
def test_a_message_of_another_length_is_refused(message: bytes) -> None:
    """What would move all later messages is not sent."""
    with pytest.raises(EncodeError, match=rf"{len(message)} bytes.* size says 3"):
        FixedLength(3).encode(message)


@pytest.mark.parametrize("received", [1, 2])
def test_a_stream_that_ends_inside_a_message_is_truncated(
    decode: Decode, received: int
) -> None:
    """The error says how much of the message had arrived."""
    messages, error = decode(FixedLength(3), b"abc" + b"x" * received)
    assert messages == [b"abc"]
    assert isinstance(error, TruncatedError)
    assert error.received == received


@pytest.mark.parametrize("size", [0, -1, True, "4", 1.5])
def test_a_size_is_a_whole_number_of_at_least_one(size: int) -> None:
    """A size that cannot be is refused when the codec is made."""
    with pytest.raises(ValueError, match="size must be a whole number, 1 or more"):
        FixedLength(size)
