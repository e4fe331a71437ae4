from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import strategies as st

from examples.key_value.resp import CLIENT, RESP2, RESP3, Resp
from examples.key_value.resp_replies import MAX_DEPTH, NIL, Error, Replies, Reply
from examples.key_value.resp_requests import Request, Requests
from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    InvalidFrameError,
    MessageTooLargeError,
)
from trio_tcp.codecs import NEED_MORE, Decoder
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from trio_tcp.codecs import Codec

SOME_BYTES = st.binary(max_size=20) | st.sampled_from([b"\r\n", b"a\r\nb", b"$1\r\n"])
SOME_TEXT = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=10
)
SCALARS = (
    SOME_BYTES
    | SOME_TEXT
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.builds(Error, SOME_TEXT)
    | st.just(NIL)
)
LISTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=8
)
LISTS_AND_MAPS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def decode(codec: Codec[Any, Any], data: bytes) -> tuple[list[Any], Exception | None]:
    """Return all messages, and the error behind them."""
    decoder = Decoder(codec)
    decoder.feed(data)
    decoder.end()
    messages: list[Any] = []
    try:
        while (message := decoder.next_message()) is not NEED_MORE:
            messages.append(message)
    except Exception as error:  # noqa: BLE001 - whatever comes is what is asked for
        return messages, error
    return messages, None


@pytest.mark.parametrize("max_bytes", [64, 100, 5000])
def test_requests_keep_the_promises_of_a_codec(max_bytes: int) -> None:
    """All that codecs promise holds, with any limit."""
    check_codec(
        Requests(max_bytes=max_bytes), st.lists(SOME_BYTES, min_size=1, max_size=5)
    )


@pytest.mark.parametrize("max_bytes", [64, 5000])
@pytest.mark.parametrize(
    ("version", "replies"), [("RESP2", LISTS), ("RESP3", LISTS_AND_MAPS)]
)
def test_replies_keep_the_promises_of_a_codec(
    version: Literal["RESP2", "RESP3"],
    replies: st.SearchStrategy[Any],
    max_bytes: int,
) -> None:
    """All that codecs promise holds, for both versions."""
    check_codec(Replies(max_bytes=max_bytes, version=version), replies)


def test_two_codecs_back_to_back_keep_the_promises_of_one() -> None:
    """What the one sends, the other receives."""
    check_codec(
        Resp[Request, Request](Requests(), Requests()), [[b"GET", b"a"], [b"\r\n"]]
    )


def test_a_request_is_a_list_of_byte_strings() -> None:
    """As Redis has it; an empty argument has its place."""
    data = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n"
    assert CLIENT.encode([b"SET", b"a", b""]) == data
    assert decode(RESP2, data) == ([[b"SET", b"a", b""]], None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"GET a\r\n", [b"GET", b"a"]),
        (b"GET a\n", [b"GET", b"a"]),
        (b" \tGET  a \n", [b"GET", b"a"]),
        (b'SET a "b c" \'d "e\'\n', [b"SET", b"a", b"b c", b'd "e']),
        (b"SET a ''\n", [b"SET", b"a", b""]),
        (b"\xff\n", [b"\xff"]),
    ],
)
def test_a_request_may_be_a_line_by_hand(line: bytes, words: list[bytes]) -> None:
    """Blanks divide it, quotes hold it together."""
    assert decode(RESP2, line) == ([words], None)


def test_what_asks_for_nothing_is_passed_over() -> None:
    """Blank lines and empty lists come before a request, as before one in Redis."""
    data = b"\r\n\n*0\r\n*-1\r\n  \r\n*1\r\n$4\r\nPING\r\n"
    assert decode(RESP2, data) == ([[b"PING"]], None)


def test_what_asks_for_nothing_is_not_kept() -> None:
    """Blank lines without end take no memory."""
    decoder = Decoder(RESP2)
    for _ in range(100):
        decoder.feed(b"\r\n" * 1000)
        assert decoder.next_message() is NEED_MORE
    decoder.let_go()
    assert not decoder.buffer.data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 30, "invalid multibulk length"),
        (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
        (b"*1\r\n\xff\r\n", r"expected '$', got '\xff'"),
        (b"*1\r\n\r\n", "expected '$', got ''"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1_0\r\n", "invalid bulk length"),
        (b"*1\r\n$3\r\nPING\r\n", "invalid bulk length"),
        (b'SET a "b\r\n', "unbalanced quotes in request"),
        (b"SET a 'b'c\r\n", "unbalanced quotes in request"),
        (b"x" * (64 << 10), "too big inline request"),
    ],
)
def test_damage_has_the_words_of_redis(data: bytes, text: str) -> None:
    """What was whole comes before it."""
    requests, error = decode(RESP2, b"PING\r\n" + data)
    assert requests == [[b"PING"]]
    assert type(error) is InvalidFrameError
    assert str(error) == text


@pytest.mark.parametrize(
    "header", [b"*1\r\n$1048570\r\n", b"*180000\r\n", b"*1\r\n$99999999999999\r\n"]
)
def test_what_is_announced_too_large_is_refused_at_once(header: bytes) -> None:
    """Before any of it has come."""
    decoder = Decoder(RESP2)
    decoder.feed(header)
    with pytest.raises(FrameTooLargeError):
        decoder.next_message()


@pytest.mark.parametrize(
    ("reply", "data"),
    [
        ("OK", b"+OK\r\n"),
        (Error("ERR no"), b"-ERR no\r\n"),
        (-42, b":-42\r\n"),
        (b"a\r\nb", b"$4\r\na\r\nb\r\n"),
        (b"", b"$0\r\n\r\n"),
        (NIL, b"$-1\r\n"),
        ([], b"*0\r\n"),
        ([1, [b"a", NIL]], b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n"),
    ],
)
def test_a_reply_says_of_what_kind_it_is(reply: Reply, data: bytes) -> None:
    """In its first byte."""
    assert RESP2.encode(reply) == data
    assert decode(CLIENT, data) == ([reply], None)


def test_the_third_version_marks_maps_and_what_is_absent() -> None:
    """To the second, a map is a list."""
    reply: Reply = {b"a": NIL}
    assert RESP2.encode(reply) == b"*2\r\n$1\r\na\r\n$-1\r\n"
    assert RESP3.encode(reply) == b"%1\r\n$1\r\na\r\n_\r\n"
    assert decode(CLIENT, RESP3.encode(reply)) == ([reply], None)


@pytest.mark.parametrize(
    "data",
    [
        b"?\r\n",
        b"\r\n",
        b":\r\n",
        b":1_0\r\n",
        b":9223372036854775808\r\n",
        b"$-2\r\n",
        b"$1\r\nabc",
        b"*-2\r\n",
        b"*1\r\n" * (MAX_DEPTH + 1),
        b"%1\r\n:1\r\n:1\r\n",
    ],
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    """What was whole comes before it."""
    replies, error = decode(CLIENT, b"+OK\r\n" + data)
    assert replies == ["OK"]
    assert type(error) is InvalidFrameError


@pytest.mark.parametrize(
    "reply", ["a\r", "a\n", "\ud800", Error("\n"), 1 << 63, -(1 << 63) - 1]
)
def test_what_a_reply_cannot_carry_is_refused(reply: Reply) -> None:
    """A line end in a line would be the beginning of another reply."""
    with pytest.raises(EncodeError):
        RESP2.encode(reply)


def test_a_list_that_is_too_large_is_never_put_together() -> None:
    """The same large value many times over would be more than there is memory."""
    values: list[Reply] = [bytes(1 << 19)] * 1_000_000
    with pytest.raises(MessageTooLargeError) as caught:
        RESP2.encode(values)
    assert caught.value.size < 2 << 20
