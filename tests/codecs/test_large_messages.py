"""Messages that are kept in the pieces in which they come."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import FrameTooLargeError, MalformedMessageError, TruncatedError
from trio_tcp.codecs import (
    LARGE_BYTES,
    NEED_MORE,
    Codec,
    Decoder,
    Extent,
    FixedLength,
    Json,
    LengthField,
    LengthPrefixed,
    Lines,
    Mapped,
    MessagePack,
    VarintPrefixed,
)
from trio_tcp.codecs._large_codec import large_codec
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs import Buffer


class Alone:
    """Length prefixes with nothing but the two methods of a codec."""

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self.encode = codec.encode
        self._codec = codec

    def decode(self, buffer: Buffer, /) -> Iterator[Any]:
        """Decode with the codec."""
        return self._codec.decode(buffer)


def no_m(payload: bytes) -> bytes:
    """Refuse what begins with an m."""
    if payload.startswith(b"m"):
        raise ValueError("an m")
    return payload


HEADED = LengthField(offset=2, size=3, strip_header=5, strip_trailer=2, magic=b"AB")

CODECS: list[Codec[bytes, bytes]] = [
    LengthPrefixed(),
    LengthPrefixed(3, byteorder="little"),
    VarintPrefixed(),
    HEADED,
    LengthField(offset=1, strip_header=5),
    Mapped(LengthPrefixed(), decode=no_m, encode=bytes),
    MessagePack(bytes),
    MessagePack(bytes, framing=VarintPrefixed()),
]

IDS = [f"{number}-{type(codec).__name__}" for number, codec in enumerate(CODECS)]
LARGE = LARGE_BYTES + 77


def observe(codec: Codec[Any, Any], chunks: list[bytes]) -> list[Any]:
    """Decode chunks, then the end; return messages and errors as they come."""
    decoder = Decoder(codec)
    seen: list[Any] = []

    def take_all() -> None:
        while True:
            try:
                message = decoder.next_message()
            except MalformedMessageError as error:
                message = repr(error)
            if message is NEED_MORE:
                return
            seen.append(message)

    try:
        for chunk in chunks:
            decoder.feed(chunk)
            take_all()
        decoder.end()
        take_all()
    except Exception as error:  # noqa: BLE001 - compared as text
        seen.append(repr(error))
    return seen


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
@given(
    st.lists(st.sampled_from([5, 6, 300, LARGE_BYTES - 1, LARGE, 100_000]), max_size=3),
    st.randoms(use_true_random=False),
    st.integers(0, 6),
)
def test_every_cutting_gives_the_same(
    codec: Codec[bytes, bytes], sizes: list[int], chance: random.Random, cut_off: int
) -> None:
    """Of large and small messages, good and bad, and cut off at the end."""
    messages = [chance.choice([b"a", b"m"]) * size for size in sizes]
    stream = b"".join(codec.encode(m or b"     ") for m in messages)
    stream = stream[: len(stream) - cut_off]
    chunks: list[bytes] = []
    at = 0
    while at < len(stream):
        size = chance.choice([3, 700, 1460, LARGE_BYTES, 65_536])
        chunks.append(stream[at : at + size])
        at += size
    whole = [stream] if stream else []
    assert observe(codec, chunks) == observe(Alone(codec), whole)


@pytest.mark.parametrize(
    "codec",
    [
        LengthPrefixed(max_bytes=400),
        VarintPrefixed(max_bytes=400),
        attrs.evolve(HEADED, max_bytes=400),
        Mapped(LengthPrefixed(2, max_bytes=400), decode=no_m, encode=bytes),
        MessagePack(bytes, framing=VarintPrefixed(max_bytes=400)),
    ],
    ids=lambda codec: type(codec).__name__,
)
def test_extents_keep_the_promises(codec: Codec[bytes, bytes]) -> None:
    """What is said of a message before it is there comes true."""
    assert large_codec(codec) is not None
    check_codec(codec, [b"good", b"x" * 300, b"another"])


@pytest.mark.parametrize(
    "codec", [Lines(), Json(), Mapped(Lines(), decode=int, encode=str)]
)
def test_other_codecs_cannot_tell(codec: Codec[Any, Any]) -> None:
    """Where a line ends is known when it has ended."""
    assert large_codec(codec) is None


def test_a_codec_that_is_wrong_about_its_extents_is_found_out() -> None:
    """One that leaves a byte out."""

    class Wrong:
        def __init__(self) -> None:
            self.encode, self.decode = LengthPrefixed().encode, LengthPrefixed().decode

        def extent(self, data: bytes, start: int, /) -> Extent | None:
            found = LengthPrefixed().extent(data, start)
            return found and Extent(found.begin, found.end, found.size - 1)

        def from_payload(self, payload: bytes, /) -> bytes:
            return payload

    with pytest.raises(AssertionError, match="extent gives something else"):
        check_codec(Wrong(), [b"hello"])


@pytest.mark.parametrize("received", [LARGE, 2 * LARGE, LARGE + 1])
def test_what_has_come_of_a_large_message_can_be_given_back(received: int) -> None:
    """To the byte, for another codec to go on with."""
    stream = LengthPrefixed().encode(b"abc" * LARGE)[:received]
    decoder = Decoder(LengthPrefixed())
    for at in range(0, received, 5000):
        decoder.feed(stream[at : at + 5000])
        assert decoder.next_message() is NEED_MORE
    decoder.rewind()
    assert decoder.buffer.unread() == stream


def test_what_comes_behind_a_large_message_before_anybody_asks_is_kept() -> None:
    """Several chunks may be fed while nobody asks for a message."""
    messages = [b"x" * LARGE, b"between", b"y" * 3000]
    stream = b"".join(map(LengthPrefixed().encode, messages))
    decoder = Decoder(LengthPrefixed())
    decoder.feed(stream[:1000])
    assert decoder.next_message() is NEED_MORE
    for at in range(1000, len(stream), 2000):
        decoder.feed(stream[at : at + 2000])
    assert [decoder.next_message() for _ in messages] == messages
    assert decoder.next_message() is NEED_MORE


def test_an_end_inside_a_large_message_says_how_much_had_come() -> None:
    """All of it, header and pieces."""
    decoder = Decoder(LengthPrefixed())
    for _ in range(3):
        decoder.feed((1 << 20).to_bytes(4, "big") + b"x" * LARGE)
        assert decoder.next_message() is NEED_MORE
    decoder.end()
    with pytest.raises(TruncatedError) as caught:
        decoder.next_message()
    assert caught.value.received == 3 * (LARGE + 4)


def test_a_message_that_is_too_large_is_refused_before_it_comes() -> None:
    """As a small one is."""
    decoder = Decoder(LengthPrefixed(max_bytes=LARGE))
    decoder.feed((LARGE + 1).to_bytes(4, "big") + b"x")
    with pytest.raises(FrameTooLargeError) as caught:
        decoder.next_message()
    assert caught.value.size == LARGE + 1


def test_large_records_of_one_size_arrive() -> None:
    """They have no header at all."""
    records = [bytes([number]) * LARGE for number in range(3)]
    stream = b"".join(records)
    chunks = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    assert observe(FixedLength(LARGE), chunks) == records


def test_single_bytes_of_a_large_message_take_little_more_room_than_they_are() -> None:
    """Whoever sends so must not make many times as much of it."""
    size = 1 << 18
    decoder = Decoder(LengthPrefixed())
    decoder.feed(size.to_bytes(4, "big") + b"x")
    assert decoder.next_message() is NEED_MORE
    chunks = [bytes([65]) for _ in range(10)]  # Python has one object for each
    tracemalloc.start()
    try:
        for number in range(size // 2):
            decoder.feed(chunks[number % 10])
            assert decoder.next_message() is NEED_MORE
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < size
