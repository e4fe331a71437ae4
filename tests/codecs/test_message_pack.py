from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import strategies as st

from trio_tcp import EncodeError, MalformedMessageError, MessageTooLargeError
from trio_tcp.codecs import LengthPrefixed, MessagePack, Netstrings
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode


@attrs.frozen
class Reading:
    """A message of the user's own."""

    device: int
    raw: bytes


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-(1 << 40), 1 << 40) | st.binary(max_size=4) | st.floats(0),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


def test_it_keeps_the_promises_of_a_codec() -> None:
    """All that codecs promise holds for any value."""
    check_codec(MessagePack(framing=LengthPrefixed(2, max_bytes=200)), VALUES)


def test_it_keeps_the_promises_with_a_type() -> None:
    """All that codecs promise holds for an attrs class, over another framing."""
    codec = MessagePack(Reading, framing=Netstrings(max_bytes=40))
    check_codec(codec, st.builds(Reading, st.integers(0, 300), st.binary(max_size=9)))


def test_a_value_is_read_into_its_type(decode: Decode) -> None:
    """One value is one frame."""
    codec = MessagePack(Reading)
    frame = codec.encode(Reading(7, b"\xff"))
    assert frame == b"\x00\x00\x00\x10\x82\xa6device\x07\xa3raw\xc4\x01\xff"
    assert decode(codec, frame) == ([Reading(7, b"\xff")], None)


@pytest.mark.parametrize(
    "value", [b"", b"\xc1", b"\x01", b"\x80", b"\x80\x00", b"\xdf"]
)
def test_after_a_bad_value_the_next_one_follows(decode: Decode, value: bytes) -> None:
    """A value that is broken, of another type, or followed by more is malformed."""
    codec = MessagePack(Reading)
    good = codec.encode(Reading(1, b""))
    (bad, next_one), error = decode(codec, LengthPrefixed().encode(value) + good)
    assert isinstance(bad, MalformedMessageError)
    assert next_one == Reading(1, b"")
    assert error is None


def test_what_message_pack_cannot_say_is_refused() -> None:
    """The exception of msgspec is the cause."""
    with pytest.raises(EncodeError) as info:
        MessagePack(int).encode(1 << 80)
    assert isinstance(info.value.__cause__, OverflowError)


def test_a_value_is_held_to_the_limit_of_the_framing() -> None:
    """The value is counted as it is written."""
    codec = MessagePack(framing=LengthPrefixed(max_bytes=3))
    assert codec.encode("ab")
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode("abc")
    assert info.value.args == (4, 3, "max_bytes")


def test_without_a_type_it_takes_less() -> None:
    """As a peer could choose what takes long to read."""
    with pytest.raises(MessageTooLargeError):
        MessagePack().encode(b"x" * (64 << 10))
    MessagePack(bytes).encode(b"x" * (64 << 10))
    anything = MessagePack(framing=LengthPrefixed())
    anything.encode(b"x" * (64 << 10))
