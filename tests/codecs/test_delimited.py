from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    MessageTooLargeError,
    TruncatedError,
)
from trio_tcp.codecs import NEED_MORE, Decoder, Delimited
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


def bytes_of(some: bytes, max_size: int) -> st.SearchStrategy[bytes]:
    """Draw messages in which delimiters, and parts of them, are frequent."""
    return st.lists(st.sampled_from(some), max_size=max_size).map(bytes)


@pytest.mark.parametrize(
    "delimiters",
    [
        (b"\n",),
        (b"\r\n",),
        (b"aa",),
        (b"aba",),
        (b"\r\n", b"\n"),
        (b"\n", b"\r\n"),
        (b"ab", b"c"),
        (b"aab", b"b", b"\n"),
    ],
)
def test_it_keeps_the_promises_of_a_codec(delimiters: tuple[bytes, ...]) -> None:
    """All that codecs promise holds, with one delimiter and with several."""
    codec = Delimited(*delimiters, max_bytes=12)
    check_codec(codec, bytes_of(b"abc\r\n\0", 14) | st.binary(max_size=12))


@pytest.mark.parametrize("chunk_bytes", [1, 7, 2047, 2048, 2049, 1 << 20])
@pytest.mark.parametrize("delimiters", [(b"\r\n",), (b"\r\n", b"\0")])
def test_messages_of_some_kib_arrive_between_small_ones(
    delimiters: tuple[bytes, ...], chunk_bytes: int
) -> None:
    """How much is split at a time does not show."""
    sizes = [1, 2045, 2046, 2047, 2048, 0, 5000, 1, 1, 4093]
    messages = [b"\r" * size for size in sizes]
    codec = Delimited(*delimiters, max_bytes=5000)
    stream = b"".join(map(codec.encode, messages))
    decoder = Decoder(codec)
    received: list[bytes] = []
    for at in range(0, len(stream), chunk_bytes):
        decoder.feed(stream[at : at + chunk_bytes])
        while (message := decoder.next_message()) is not NEED_MORE:
            received.append(message)
    assert received == messages


def test_a_delimiter_ends_each_message(decode: Decode) -> None:
    """Also an empty one."""
    codec = Delimited(b"\r\n")
    assert codec.encode(b"a\rb") == b"a\rb\r\n"
    assert decode(codec, b"a\rb\r\n\r\nc\n\r\n") == ([b"a\rb", b"", b"c\n"], None)


def test_any_of_several_delimiters_ends_a_message(decode: Decode) -> None:
    """The first is what is sent."""
    codec = Delimited(b"\r\n", b"\n", b"\0")
    assert codec.encode(b"a") == b"a\r\n"
    assert decode(codec, b"a\nb\r\nc\0\r\0") == ([b"a", b"b", b"c", b"\r"], None)


def test_the_earliest_delimiter_counts(decode: Decode) -> None:
    """A delimiter at the end of a longer one does not cut it in two."""
    assert decode(Delimited(b"--end", b"end"), b"a--endbend") == ([b"a", b"b"], None)


def test_the_place_of_a_delimiter_is_the_first_possible(decode: Decode) -> None:
    """Of ``aaa``, the first two are the delimiter."""
    assert decode(Delimited(b"aa"), b"xaaayaa") == ([b"x", b"ay"], None)


@pytest.mark.parametrize(
    ("delimiters", "message"),
    [
        pytest.param((b"\n",), b"a\nb", id="inside"),
        pytest.param((b"\n",), b"\n", id="nothing else"),
        pytest.param((b"aa",), b"xa", id="half of one at the end"),
        pytest.param((b"\n", b"\r\n"), b"x\r", id="half of another at the end"),
        pytest.param((b"\n", b"\0"), b"a\0b", id="another inside"),
    ],
)
def test_a_message_that_would_end_too_early_is_refused(
    delimiters: tuple[bytes, ...], message: bytes
) -> None:
    """One with a delimiter in it, or with the beginning of one at its end."""
    with pytest.raises(EncodeError, match="would end too early"):
        Delimited(*delimiters).encode(message)


@pytest.mark.parametrize(
    "delimiters",
    [
        pytest.param((b"\r", b"\r\n"), id="the beginning of another"),
        pytest.param((b"abcd", b"bc"), id="inside of another"),
    ],
)
def test_delimiters_that_would_have_to_wait_are_refused(
    delimiters: tuple[bytes, ...],
) -> None:
    """After the shorter one, the rest of the longer one may never come."""
    with pytest.raises(ValueError, match="may never come"):
        Delimited(*delimiters)


@pytest.mark.parametrize(
    ("arguments", "options", "problem"),
    [
        ((b"",), {}, "must not be empty"),
        ((b"\n", b"\n"), {}, "given twice"),
        (("\n",), {}, "bytes"),
        ((b"\n",), {"max_bytes": 0}, "max_bytes"),
    ],
)
def test_impossible_options_are_refused(
    arguments: tuple[Any, ...], options: dict[str, Any], problem: str
) -> None:
    """Options are checked when the codec is made."""
    with pytest.raises((ValueError, TypeError), match=problem):
        Delimited(*arguments, **options)


@pytest.mark.parametrize("delimiters", [(b"\n",), (b"\r\n",), (b"\0", b"\r\n")])
def test_the_largest_message_passes_in_both_directions(
    decode: Decode, delimiters: tuple[bytes, ...]
) -> None:
    """The delimiter is not counted."""
    codec = Delimited(*delimiters, max_bytes=5)
    stream = codec.encode(b"12345") + b"54321" + delimiters[-1]
    assert decode(codec, stream) == ([b"12345", b"54321"], None)


@pytest.mark.parametrize("delimiters", [(b"\n",), (b"\r\n",), (b"\0", b"\r\n")])
def test_one_byte_more_is_not_received(
    decode: Decode, delimiters: tuple[bytes, ...]
) -> None:
    """What was whole comes first; the error names the option to change."""
    codec = Delimited(*delimiters, max_bytes=5)
    messages, error = decode(codec, codec.encode(b"ok") + b"123456" + delimiters[-1])
    assert messages == [b"ok"]
    assert isinstance(error, FrameTooLargeError)
    assert error.args == (None, 5, "max_bytes")


def test_a_message_without_end_is_refused_before_it_ends() -> None:
    """As soon as no delimiter can come in time."""
    decoder = Decoder(Delimited(b"\r\n", max_bytes=5))
    decoder.feed(b"1234567")
    with pytest.raises(FrameTooLargeError):
        decoder.next_message()


def test_one_byte_more_is_not_sent() -> None:
    """The error has the numbers, and names the option."""
    with pytest.raises(MessageTooLargeError) as info:
        Delimited(b"\n", max_bytes=5).encode(b"123456")
    assert info.value.args == (6, 5, "max_bytes")


@pytest.mark.parametrize("received", range(1, 7))
def test_a_stream_that_ends_inside_a_message_is_truncated(
    decode: Decode, received: int
) -> None:
    """Also when it ends inside a delimiter."""
    messages, error = decode(Delimited(b"\r\n"), b"\r\n" + b"hello\r\n"[:received])
    assert messages == [b""]
    assert isinstance(error, TruncatedError)
    assert error.received == received
