from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import strategies as st

from trio_tcp import EncodeError, FrameTooLargeError, MalformedMessageError
from trio_tcp.codecs import Decoder, Delimited, Json, LengthPrefixed
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@attrs.frozen
class Move:
    """A message of the user's own."""

    piece: str
    to: list[int]


DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 40), 1 << 40) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


def test_it_keeps_the_promises_of_a_codec() -> None:
    """All that codecs promise holds for any document."""
    check_codec(Json(framing=Delimited(b"\n", max_bytes=200)), DOCUMENTS)


def test_it_keeps_the_promises_with_a_type() -> None:
    """All that codecs promise holds for an attrs class, over another framing."""
    codec = Json(Move, framing=LengthPrefixed(2, max_bytes=60))
    numbers = st.lists(st.integers(0, 9), max_size=3)
    check_codec(codec, st.builds(Move, st.text("ab\n\r\u20ac", max_size=5), numbers))


def test_a_document_is_read_into_its_type(decode: Decode) -> None:
    """One document is one line."""
    codec = Json(Move)
    frame = codec.encode(Move("pawn\n", [5, 4]))
    assert frame == b'{"piece":"pawn\\n","to":[5,4]}\n'
    assert decode(codec, frame) == ([Move("pawn\n", [5, 4])], None)


@pytest.mark.parametrize(
    "document",
    [
        b'{"piece":"pawn"}',
        b'{"piece":"pawn","to":["e4"]}',
        b'{"piece":"pawn","to":[',
        b"[]",
        b"",
        b"\xff",
        b'{"piece":"\xff","to":[1]}',
        b"[" * 60_000,
    ],
)
def test_after_a_bad_document_the_next_one_follows(document: bytes) -> None:
    """Bad JSON, bad text, another type, and brackets without end are all malformed."""
    codec = Json(Move)
    good = codec.encode(Move("pawn", []))
    decoder = Decoder(codec)
    decoder.feed(document + b"\n" + good)
    with pytest.raises(MalformedMessageError) as info:
        decoder.next_message()
    assert isinstance(info.value.__cause__, Exception)
    assert decoder.next_message() == Move("pawn", [])


def test_what_json_cannot_say_is_refused() -> None:
    """The exception of msgspec is the cause."""
    with pytest.raises(EncodeError) as info:
        Json().encode(object())
    assert isinstance(info.value.__cause__, TypeError)


def test_a_document_is_held_to_the_limit_of_the_framing(decode: Decode) -> None:
    """Without other framing, to 64 KiB; here to less."""
    messages, error = decode(
        Json(framing=Delimited(b"\n", max_bytes=4)), b"1234\n12345"
    )
    assert messages == [1234]
    assert isinstance(error, FrameTooLargeError)


def test_a_type_that_msgspec_does_not_know_is_refused() -> None:
    """When the codec is made, not with the first message."""
    with pytest.raises(TypeError, match="not supported"):
        Json(object())


def test_the_type_and_the_framing_are_what_a_codec_is() -> None:
    """Two codecs of the same configuration are equal, and say what they are."""
    assert Json(int) == Json(int)
    assert Json(int) != Json(int, framing=LengthPrefixed())
    assert repr(Json(int, framing=LengthPrefixed())).startswith(
        "Json(type=<class 'int'>"
    )
