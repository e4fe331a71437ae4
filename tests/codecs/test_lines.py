from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    MalformedMessageError,
    MessageTooLargeError,
    TruncatedError,
)
from trio_tcp.codecs import NEED_MORE, Decoder, Lines
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode

TEXT = st.text("ab\r\n\u00e9\u20ac", max_size=10) | st.text(max_size=10)


@pytest.mark.parametrize(
    "codec",
    [
        Lines(max_bytes=12),
        Lines(newline="\r\n", max_bytes=12),
        Lines(allow_unterminated=True, max_bytes=12),
        Lines("ascii", max_bytes=12),
        Lines("latin-1", max_bytes=1),
        Lines("shift_jis", max_bytes=12),
        Lines("iso2022_jp", max_bytes=12),
        Lines("utf-7", max_bytes=12),
    ],
    ids=str,
)
def test_it_keeps_the_promises_of_a_codec(codec: Lines) -> None:
    """All that codecs promise holds for any options."""
    check_codec(codec, TEXT)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 2047, 2048, 2049, 1 << 20])
def test_lines_of_some_kib_arrive_between_small_ones(chunk_bytes: int) -> None:
    """How much is split at a time does not show."""
    sizes = [1, 2045, 2046, 2047, 2048, 0, 5000, 1, 1, 4093]
    messages = ["\u00e9" * (size // 2) + "x" * (size % 2) for size in sizes]
    codec = Lines(newline="\r\n")
    stream = b"".join(map(codec.encode, messages))
    decoder = Decoder(codec)
    received: list[str] = []
    for at in range(0, len(stream), chunk_bytes):
        decoder.feed(stream[at : at + chunk_bytes])
        while (message := decoder.next_message()) is not NEED_MORE:
            received.append(message)
    assert received == messages


def test_both_line_ends_are_understood(decode: Decode) -> None:
    """A line end is no part of the message."""
    assert decode(Lines(), b"one\ntwo\r\n\n\r\nx")[0] == ["one", "two", "", ""]


def test_the_line_end_that_is_sent_can_be_chosen() -> None:
    """A line feed alone is the default."""
    assert Lines().encode("a") == b"a\n"
    assert Lines(newline="\r\n").encode("a") == b"a\r\n"


def test_a_carriage_return_is_a_character_like_others(decode: Decode) -> None:
    """Except before a line feed, and then only one."""
    assert decode(Lines(), b"a\rb\r\r\n\rc\n") == (["a\rb\r", "\rc"], None)


def test_other_separators_of_lines_are_characters(decode: Decode) -> None:
    """What `str.splitlines` would split at besides is left alone."""
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f"
    assert decode(Lines(), Lines().encode(text)) == ([text], None)


@pytest.mark.parametrize("codec", [Lines(), Lines(newline="\r\n")], ids=str)
@pytest.mark.parametrize("message", ["a\nb", "\n", "a\r", "a\r\n", "\r"])
def test_a_message_that_would_not_arrive_whole_is_refused(
    message: str, codec: Lines
) -> None:
    """A line feed would cut it in two, a carriage return at its end would be lost."""
    with pytest.raises(EncodeError, match="a line cannot"):
        codec.encode(message)


@pytest.mark.parametrize(
    ("encoding", "message"), [("ascii", "\u00e9"), ("utf-8", "\ud800")]
)
def test_text_that_cannot_be_encoded_is_refused(encoding: str, message: str) -> None:
    """The error of the encoding is the cause."""
    with pytest.raises(EncodeError) as info:
        Lines(encoding).encode(message)
    assert isinstance(info.value.__cause__, UnicodeEncodeError)


@pytest.mark.parametrize(
    ("encoding", "message", "problem"),
    [("shift_jis", "\u00a5", "would arrive as"), ("iso2022_jp", "\x1b", "decoded")],
)
def test_text_that_its_encoding_would_change_is_refused(
    encoding: str, message: str, problem: str
) -> None:
    """What Python writes is not always what it reads."""
    assert Lines(encoding).encode("\u3042").endswith(b"\n")
    with pytest.raises(EncodeError, match=problem):
        Lines(encoding).encode(message)


def test_after_bytes_that_are_no_text_the_next_line_follows(decode: Decode) -> None:
    """A line with bad bytes is one malformed message."""
    messages, error = decode(Lines(), b"one\n\xff\xfe\n\xc3\r\nfour\n")
    assert [messages[0], messages[3]] == ["one", "four"]
    assert all(isinstance(bad, MalformedMessageError) for bad in messages[1:3])
    assert isinstance(messages[1].__cause__, UnicodeDecodeError)
    assert error is None


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig",
        "cp037", "cp500", "hz", "punycode", "unicode_escape",
    ],
)  # fmt: skip
def test_an_encoding_without_lines_of_bytes_is_refused(encoding: str) -> None:
    """Where line ends have other bytes, or their bytes another meaning."""
    with pytest.raises(ValueError, match="has no lines of bytes"):
        Lines(encoding)


@pytest.mark.parametrize("encoding", ["no-such-thing", "base64", "rot13"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    """The error says what Python has against it."""
    with pytest.raises(ValueError, match=r"encoding: .*(unknown|not a text encoding)"):
        Lines(encoding)


def test_other_impossible_options_are_refused() -> None:
    """Options are checked when the codec is made."""
    wrong: Any = "\r"
    with pytest.raises(ValueError, match="newline"):
        Lines(newline=wrong)
    with pytest.raises(ValueError, match="max_bytes"):
        Lines(max_bytes=0)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_longest_line_passes(decode: Decode, line_end: bytes) -> None:
    """Neither line end is counted, however it arrives."""
    stream = b"abc" + line_end + b"def" + line_end
    assert decode(Lines(max_bytes=3), stream) == (["abc", "def"], None)


@pytest.mark.parametrize("rest", [b"d\n", b"\r\r\n", b"\rd\n", b"\rd", b"d"])
def test_a_longer_line_is_not_received(decode: Decode, rest: bytes) -> None:
    """A carriage return counts where it is not part of the line end."""
    messages, error = decode(Lines(max_bytes=3), b"a\nabc" + rest)
    assert messages == ["a"]
    assert isinstance(error, FrameTooLargeError)
    assert error.args == (None, 3, "max_bytes")


def test_a_line_without_end_is_refused_before_it_ends() -> None:
    """As soon as the next byte can only make it longer."""
    decoder = Decoder(Lines(max_bytes=3))
    decoder.feed(b"abc\r")
    assert decoder.next_message() is NEED_MORE
    decoder.feed(b"d")
    with pytest.raises(FrameTooLargeError):
        decoder.next_message()


def test_the_limit_counts_bytes_and_not_characters(decode: Decode) -> None:
    """In both directions."""
    codec = Lines(max_bytes=3)
    assert decode(codec, codec.encode("a\u00e9")) == (["a\u00e9"], None)
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode("\u00e9\u00e9")
    assert info.value.args == (4, 3, "max_bytes")


@pytest.mark.parametrize("received", range(1, 5))
def test_a_stream_that_ends_inside_a_line_is_truncated(
    decode: Decode, received: int
) -> None:
    """What is there may be half a line."""
    messages, error = decode(Lines(), b"a\n" + b"abc\r"[:received])
    assert messages == ["a"]
    assert isinstance(error, TruncatedError)
    assert error.received == received


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b"a\nb", ["a", "b"]),
        (b"a\nb\r", ["a", "b\r"]),
        (b"a\n\r", ["a", "\r"]),
        (b"a\n", ["a"]),
        (b"", []),
    ],
)
def test_the_last_line_may_be_allowed_to_have_no_end(
    decode: Decode, stream: bytes, lines: list[str]
) -> None:
    """Then it comes at the end of the stream; if it is empty, it is none."""
    assert decode(Lines(allow_unterminated=True), stream) == (lines, None)


def test_a_last_line_without_end_is_held_to_the_limit(decode: Decode) -> None:
    """A carriage return that no line feed followed is counted at last."""
    codec = Lines(allow_unterminated=True, max_bytes=3)
    assert decode(codec, b"abc") == (["abc"], None)
    messages, error = decode(codec, b"a\nabc\r")
    assert messages == ["a"]
    assert isinstance(error, FrameTooLargeError)


def test_a_last_line_without_end_may_be_malformed(decode: Decode) -> None:
    """And then the stream ends cleanly."""
    messages, error = decode(Lines(allow_unterminated=True), b"\xff")
    assert [type(message) for message in messages] == [MalformedMessageError]
    assert error is None
