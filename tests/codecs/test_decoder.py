from __future__ import annotations

from typing import Any, final

import pytest

from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    MalformedMessageError,
    TruncatedError,
)
from trio_tcp.codecs import (
    NEED_MORE,
    Buffer,
    Decoder,
    Decoding,
    LengthPrefixed,
    Lines,
    Mapped,
)


def drain(decoder: Decoder[Any]) -> list[Any]:
    """Return the messages that are whole."""
    messages: list[Any] = []
    while (message := decoder.next_message()) is not NEED_MORE:
        messages.append(message)
    return messages


def test_messages_come_one_at_a_time_as_they_become_whole() -> None:
    """The rest of a chunk waits for the next one."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\ntwo\nth")
    assert drain(decoder) == ["one", "two"]
    decoder.feed(b"ree\n")
    assert drain(decoder) == ["three"]


def test_several_chunks_may_be_fed_while_no_message_is_whole() -> None:
    """Nobody has to ask in between."""
    decoder = Decoder(Lines())
    for chunk in (b"o", b"n", b"e\n"):
        decoder.feed(chunk)
    assert drain(decoder) == ["one"]


def test_a_chunk_is_refused_in_the_middle_of_the_messages_at_hand() -> None:
    """The codec may be in the middle of them. Nothing is lost by it."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\ntwo\nth")
    assert decoder.next_message() == "one"
    with pytest.raises(RuntimeError, match="NEED_MORE"):
        decoder.feed(b"ree\n")
    assert drain(decoder) == ["two"]
    decoder.feed(b"ree\n")
    assert drain(decoder) == ["three"]


def test_what_is_not_delivered_stays_in_the_buffer() -> None:
    """Another decoder can go on from there."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\n\x03abc\x01")
    assert decoder.next_message() == "one"
    assert decoder.buffer.unread() == b"\x03abc\x01"
    other = Decoder(LengthPrefixed(1), decoder.buffer)
    assert drain(other) == [b"abc"]
    other.feed(b"x")
    assert drain(other) == [b"x"]


def test_after_the_end_no_message_means_a_clean_end() -> None:
    """However often one asks."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\n")
    decoder.end()
    assert drain(decoder) == ["one"]
    assert decoder.next_message() is NEED_MORE


def test_after_the_end_an_unfinished_message_is_an_error_for_good() -> None:
    """What was whole comes first."""
    decoder = Decoder(Lines())
    decoder.feed(b"one\ntw")
    decoder.end()
    assert decoder.next_message() == "one"
    for _ in range(2):
        with pytest.raises(TruncatedError) as info:
            decoder.next_message()
        assert info.value.received == 2


def test_a_lost_framing_is_an_error_for_good() -> None:
    """The same, each time."""
    decoder = Decoder(LengthPrefixed(1, max_bytes=3))
    decoder.feed(b"\x01a\x04abcd\x01b")
    assert decoder.next_message() == b"a"
    for _ in range(2):
        with pytest.raises(FrameTooLargeError):
            decoder.next_message()
    assert decoder.buffer.unread() == b"\x04abcd\x01b"


def test_a_malformed_message_is_one_error_and_then_it_goes_on() -> None:
    """Also when the next one is not yet there."""
    decoder = Decoder(Mapped(Lines(), decode=int, encode=str))
    decoder.feed(b"one\n2\nthree\n")
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    assert decoder.next_message() == 2
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    decoder.feed(b"4\n")
    assert drain(decoder) == [4]


@final
class LastWords:
    """Delivers what is left when it is told the end, and not before."""

    def encode(self, message: bytes, /) -> bytes:
        """Send nothing."""
        raise EncodeError

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Look at ``ended`` only after a wait, and once."""
        while not buffer.ended:
            yield NEED_MORE
        rest = yield from buffer.exactly(len(buffer.data) - buffer.cursor)
        yield rest


@pytest.mark.parametrize("asked_before_the_end", [True, False])
def test_a_codec_is_resumed_once_more_after_the_end(
    asked_before_the_end: bool,
) -> None:
    """So that it may deliver what only the end makes whole."""
    decoder = Decoder(LastWords())
    decoder.feed(b"bye")
    if asked_before_the_end:
        assert decoder.next_message() is NEED_MORE
    decoder.end()
    assert drain(decoder) == [b"bye"]


@final
class WaitsFirst:
    """Looks at ``ended`` only when it is resumed; an exclamation mark is malformed."""

    def encode(self, message: bytes, /) -> bytes:
        """Send nothing."""
        raise EncodeError

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Wait first, then look."""
        while True:
            yield NEED_MORE
            if buffer.ended and buffer.cursor < len(buffer.data):
                byte = yield from buffer.exactly(1)
                if byte == b"!":
                    raise MalformedMessageError(byte)
                yield byte


def test_a_codec_may_look_at_the_end_only_after_it_has_asked_for_more() -> None:
    """It is resumed after that, too, when all arrived at once."""
    decoder = Decoder(WaitsFirst())
    decoder.feed(b"a")
    decoder.end()
    assert drain(decoder) == [b"a"]


def test_a_codec_is_told_the_end_again_after_a_malformed_message() -> None:
    """Decoding has started anew, and knows of nothing."""
    decoder = Decoder(WaitsFirst())
    decoder.feed(b"!a")
    decoder.end()
    with pytest.raises(MalformedMessageError):
        decoder.next_message()
    assert drain(decoder) == [b"a"]


def test_another_decoder_is_told_the_end_again() -> None:
    """What had ended for one decoder has ended for the next."""
    decoder = Decoder(LengthPrefixed(1))
    decoder.feed(b"\x01")
    decoder.end()
    with pytest.raises(TruncatedError):
        decoder.next_message()
    decoder.buffer.cursor = decoder.buffer.start
    assert drain(Decoder(WaitsFirst(), decoder.buffer)) == [b"\x01"]
