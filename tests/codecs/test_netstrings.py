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
from trio_tcp.codecs import Netstrings
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@pytest.mark.parametrize("max_bytes", [1, 9, 10, 120, 1 << 16])
def test_it_keeps_the_promises_of_a_codec(max_bytes: int) -> None:
    """All that codecs promise holds, whatever the number of digits."""
    codec = Netstrings(max_bytes=max_bytes)
    check_codec(codec, st.binary(max_size=min(max_bytes, 130)))


def test_a_message_stands_between_its_length_and_a_comma(decode: Decode) -> None:
    """Empty messages and messages with any bytes have their place."""
    codec = Netstrings()
    stream = b"5:hello,0:,4:1:a,,"
    assert b"".join(map(codec.encode, [b"hello", b"", b"1:a,"])) == stream
    assert decode(codec, stream) == ([b"hello", b"", b"1:a,"], None)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"05:hello,", id="a zero first"),
        pytest.param(b"00:,", id="two zeros"),
        pytest.param(b":,", id="no digit"),
        pytest.param(b"-1:,", id="a sign"),
        pytest.param(b"+1:a,", id="a plus"),
        pytest.param(b" 1:a,", id="a space"),
        pytest.param(b"1 :a,", id="a space behind"),
        pytest.param(b"1_0:aaaaaaaaaa,", id="an underscore"),
        pytest.param("\u0663:abc,".encode(), id="digits of another script"),
        pytest.param(b"1a", id="no colon"),
        pytest.param(b"1:a;", id="no comma"),
        pytest.param(b"1:ab,", id="one byte too many"),
    ],
)
def test_what_is_not_a_netstring_is_refused(decode: Decode, stream: bytes) -> None:
    """The rules are kept to the letter; what was whole comes first."""
    messages, error = decode(Netstrings(), b"2:ok," + stream)
    assert messages == [b"ok"]
    assert isinstance(error, InvalidFrameError)


def test_the_error_names_the_first_wrong_byte(decode: Decode) -> None:
    """A peer that speaks something else is recognised by it."""
    _messages, error = decode(Netstrings(), b"GET / HTTP/1.1\r\n")
    assert "b'G'" in str(error)


def test_the_largest_message_passes_in_both_directions(decode: Decode) -> None:
    """The limit itself is allowed."""
    codec = Netstrings(max_bytes=10)
    assert decode(codec, codec.encode(b"x" * 10)) == ([b"x" * 10], None)


def test_one_byte_more_than_the_limit_is_not_sent() -> None:
    """The error has the numbers, and names the option."""
    with pytest.raises(MessageTooLargeError) as info:
        Netstrings(max_bytes=10).encode(b"x" * 11)
    assert info.value.args == (11, 10, "max_bytes")


@pytest.mark.parametrize(
    ("stream", "size"),
    [
        pytest.param(b"11:", 11, id="the number is too large"),
        pytest.param(b"100", None, id="it has too many digits"),
    ],
)
def test_one_byte_more_than_the_limit_is_not_received(
    decode: Decode, stream: bytes, size: int | None
) -> None:
    """A number with too many digits is refused before its end is known."""
    messages, error = decode(Netstrings(max_bytes=10), b"1:a," + stream)
    assert messages == [b"a"]
    assert isinstance(error, FrameTooLargeError)
    assert error.args == (size, 10, "max_bytes")


@pytest.mark.parametrize("received", range(1, 8))
def test_a_stream_that_ends_inside_a_netstring_is_truncated(
    decode: Decode, received: int
) -> None:
    """Also when only the comma is missing."""
    messages, error = decode(Netstrings(), b"0:," + b"5:hello,"[:received])
    assert messages == [b""]
    assert isinstance(error, TruncatedError)
    assert error.received == received
