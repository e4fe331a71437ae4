from __future__ import annotations

import pytest
from hypothesis import strategies as st

from trio_tcp import EncodeError, MessageTooLargeError
from trio_tcp.codecs import NEED_MORE, Chunks, Decoder
from trio_tcp.testing import check_codec


@pytest.mark.parametrize("max_bytes", [1, 7, 1 << 20])
def test_it_keeps_the_promises_of_a_codec(max_bytes: int) -> None:
    """All that codecs promise holds, but for the boundaries of messages."""
    codec = Chunks(max_bytes=max_bytes)
    messages = st.binary(min_size=1, max_size=min(max_bytes, 50))
    check_codec(codec, messages, join=b"".join)


def test_what_arrives_together_is_a_message() -> None:
    """Nothing is held back, and nothing waited for."""
    decoder = Decoder(Chunks())
    for chunk in (b"some", b" bytes"):
        decoder.feed(chunk)
        assert decoder.next_message() == chunk
        assert decoder.next_message() is NEED_MORE


def test_more_than_the_limit_becomes_several_messages() -> None:
    """A message is never larger than the limit."""
    decoder = Decoder(Chunks(max_bytes=4))
    decoder.feed(b"0123456789")
    messages = [decoder.next_message() for _ in range(4)]
    assert messages == [b"0123", b"4567", b"89", NEED_MORE]


def test_an_empty_message_is_refused() -> None:
    """Nothing could arrive."""
    with pytest.raises(EncodeError, match="empty"):
        Chunks().encode(b"")


def test_one_byte_more_than_the_limit_is_not_sent() -> None:
    """The limit itself is allowed; beyond it, the error has the numbers."""
    codec = Chunks(max_bytes=4)
    assert codec.encode(b"1234") == b"1234"
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(b"12345")
    assert info.value.args == (5, 4, "max_bytes")
