from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    InvalidFrameError,
    MessageTooLargeError,
    TruncatedError,
)
from trio_tcp.codecs import NEED_MORE, Decoder, LengthField
from trio_tcp.testing import check_codec

if TYPE_CHECKING:
    from tests.codecs.conftest import Decode

GATEWAY = LengthField(
    offset=3,
    size=1,
    adjustment=1,
    strip_header=4,
    strip_trailer=1,
    magic=b"AB",
    max_garbage_bytes=10,
    max_bytes=20,
)
"""``A B kind length payload checksum``."""


@pytest.mark.parametrize(
    "codec",
    [
        LengthField(max_bytes=40, strip_header=4),
        LengthField(
            size=1, max_bytes=40, strip_header=1, strip_trailer=2, adjustment=2
        ),
        LengthField(offset=2, size=2, byteorder="little", max_bytes=40, strip_header=4),
        LengthField(offset=2, size=3, adjustment=-5, max_bytes=40, strip_header=7),
        LengthField(offset=3, size=8, magic=b"AB", max_bytes=40, strip_header=11),
        GATEWAY,
        LengthField(
            offset=3,
            size=1,
            magic=b"ABA",
            max_garbage_bytes=30,
            max_bytes=40,
            strip_header=4,
        ),
    ],
    ids=str,
)
def test_it_keeps_the_promises_of_a_codec(codec: LengthField) -> None:
    """All that codecs promise holds for any layout."""
    messages = st.binary(max_size=44) | st.lists(st.sampled_from(b"AB\0\1")).map(bytes)
    check_codec(codec, messages)


@pytest.mark.parametrize("max_garbage_bytes", [0, 16])
def test_it_keeps_the_promises_where_headers_are_kept(max_garbage_bytes: int) -> None:
    """All that codecs promise holds for whole frames as messages."""
    codec = LengthField(
        offset=3,
        size=1,
        magic=b"AA",
        max_garbage_bytes=max_garbage_bytes,
        max_bytes=20,
    )
    payloads = st.binary(max_size=18) | st.lists(st.sampled_from(b"A\0\1")).map(bytes)
    check_codec(codec, payloads.map(lambda some: codec.encode(b"AA\7\0" + some[:16])))


@pytest.mark.parametrize(
    ("codec", "frame", "message"),
    [
        pytest.param(
            LengthField(size=2),
            b"\x00\x02hi",
            b"\x00\x02hi",
            id="the header kept",
        ),
        pytest.param(
            LengthField(size=2, strip_header=2),
            b"\x00\x02hi",
            b"hi",
            id="the header stripped",
        ),
        pytest.param(
            LengthField(size=2, adjustment=-2, byteorder="little"),
            b"\x04\x00hi",
            b"\x04\x00hi",
            id="the length counts the whole frame",
        ),
        pytest.param(
            LengthField(offset=2, size=3),
            b"\xca\xfe\x00\x00\x02hi",
            b"\xca\xfe\x00\x00\x02hi",
            id="bytes before the length",
        ),
        pytest.param(
            LengthField(size=1, adjustment=2),
            b"\x02\xca\xfehi",
            b"\x02\xca\xfehi",
            id="bytes behind the length that it does not count",
        ),
        pytest.param(
            LengthField(offset=1, size=1, adjustment=1, strip_header=3),
            b"\x00\x02\x00hi",
            b"hi",
            id="bytes before and behind, all stripped",
        ),
        pytest.param(
            LengthField(offset=1, size=1, adjustment=-2, strip_header=3),
            b"\x00\x05\x00hi",
            b"hi",
            id="the same, and the length counts the whole frame",
        ),
        pytest.param(
            LengthField(offset=2, size=1, magic=b"M", strip_header=1),
            b"M\x07\x02hi",
            b"\x07\x02hi",
            id="only the magic stripped",
        ),
        pytest.param(
            LengthField(size=1, adjustment=2, strip_header=1, strip_trailer=2),
            b"\x02hi\x00\x00",
            b"hi",
            id="a trailer stripped",
        ),
        pytest.param(
            LengthField(size=8, strip_header=8),
            b"\x00\x00\x00\x00\x00\x00\x00\x02hi",
            b"hi",
            id="eight bytes of length",
        ),
    ],
)
def test_the_layout_of_a_frame(
    decode: Decode, codec: LengthField, frame: bytes, message: bytes
) -> None:
    """The options say where the length is, what it counts, and what is stripped."""
    assert codec.encode(message) == frame
    assert decode(codec, frame * 2) == ([message] * 2, None)


def test_the_length_field_of_a_kept_header_is_filled_in() -> None:
    """The user leaves zeros where the length belongs, or anything else."""
    codec = LengthField(offset=3, size=2, magic=b"AB")
    assert codec.encode(b"AB\x07\x00\x00hi") == b"AB\x07\x00\x02hi"
    assert codec.encode(b"AB\x07\xff\xffhi") == b"AB\x07\x00\x02hi"


def test_a_kept_header_without_its_magic_is_refused() -> None:
    """The peer would refuse it as well."""
    with pytest.raises(EncodeError, match="magic b'AB'"):
        LengthField(offset=3, magic=b"AB").encode(b"AA\x07\x00\x00\x00\x00")


@pytest.mark.parametrize(
    ("codec", "message", "smallest"),
    [
        pytest.param(LengthField(offset=2), b"\x00\x00\x00", 6, id="header"),
        pytest.param(LengthField(size=1, adjustment=3), b"\x00ab", 4, id="adjustment"),
    ],
)
def test_a_message_smaller_than_its_header_is_refused(
    codec: LengthField, message: bytes, smallest: int
) -> None:
    """A frame has at least what its layout asks for."""
    with pytest.raises(
        EncodeError, match=f"of 3 bytes, and the smallest has {smallest}"
    ):
        codec.encode(message)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"offset": 1, "magic": b"AB"}, id="magic over the length"),
        pytest.param({"offset": 2, "strip_header": 3}, id="half a length stripped"),
        pytest.param(
            {"offset": 2, "magic": b"AB", "strip_header": 1}, id="half a magic stripped"
        ),
        pytest.param({"max_garbage_bytes": 1}, id="garbage and no magic"),
        pytest.param({"max_bytes": 3}, id="no room for the header"),
        pytest.param({"max_bytes": 9, "adjustment": 6}, id="too large if empty"),
        pytest.param({"size": 1, "adjustment": -256}, id="always below zero"),
        pytest.param(
            {"max_bytes": 5, "strip_trailer": 2}, id="no room for the trailer"
        ),
        pytest.param({"offset": -1}, id="offset below zero"),
        pytest.param({"strip_header": True}, id="a flag for a number"),
        pytest.param({"size": 5}, id="a size of 5"),
        pytest.param({"byteorder": "middle"}, id="no byte order"),
    ],
)
def test_a_layout_that_no_frame_can_have_is_refused(options: dict[str, Any]) -> None:
    """Options are checked when the codec is made, also against each other."""
    with pytest.raises(ValueError, match="|".join([*options, "no frame is possible"])):
        LengthField(**options)


def test_the_limit_counts_the_whole_frame(decode: Decode) -> None:
    """The limit itself is allowed in both directions, with header and trailer."""
    codec = LengthField(
        size=1, adjustment=1, strip_header=1, strip_trailer=1, max_bytes=5
    )
    assert decode(codec, codec.encode(b"abc")) == ([b"abc"], None)
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(b"abcd")
    assert info.value.args == (6, 5, "max_bytes")
    messages, error = decode(codec, codec.encode(b"a") + b"\x04")
    assert messages == [b"a"]
    assert isinstance(error, FrameTooLargeError)
    assert error.args == (6, 5, "max_bytes")


def test_an_adjusted_length_is_refused_before_anything_is_stored() -> None:
    """A length near the limit of its field is no special case."""
    decoder = Decoder(LengthField(size=8, adjustment=1000))
    decoder.feed(b"\xff" * 8)
    with pytest.raises(FrameTooLargeError) as info:
        decoder.next_message()
    assert info.value.size == (1 << 64) - 1 + 1008


def test_a_message_that_the_field_cannot_express_is_refused() -> None:
    """The size of the length field is a limit too."""
    codec = LengthField(size=1, adjustment=2, strip_header=1)
    assert codec.encode(b"x" * 257)[0] == 255
    with pytest.raises(MessageTooLargeError) as info:
        codec.encode(b"x" * 258)
    assert info.value.args == (259, 258, "size")


def test_a_length_below_the_smallest_frame_is_invalid(decode: Decode) -> None:
    """A length that counts the whole frame cannot be smaller than the header."""
    messages, error = decode(LengthField(size=2, adjustment=-2), b"\x00\x02\x00\x01")
    assert messages == [b"\x00\x02"]
    assert isinstance(error, InvalidFrameError)
    assert "1 bytes, and the smallest has 2" in str(error)


@pytest.mark.parametrize("wrong", [b"X", b"AX", b"BA", b"XB\x00\x00", b"ABAAAAAA"])
def test_without_its_magic_a_frame_is_invalid(decode: Decode, wrong: bytes) -> None:
    """As soon as the first wrong byte is there."""
    codec = LengthField(offset=3, size=1, magic=b"ABC", max_bytes=20)
    messages, error = decode(codec, b"ABC\x01x" + wrong)
    assert messages == [b"ABC\x01x"]
    assert isinstance(error, InvalidFrameError)
    assert "magic b'ABC'" in str(error)


@pytest.mark.parametrize("received", range(1, 7))
def test_a_stream_that_ends_inside_a_frame_is_truncated(
    decode: Decode, received: int
) -> None:
    """Also when it ends inside the header."""
    frame = LengthField(strip_header=4).encode(b"abc")
    messages, error = decode(LengthField(strip_header=4), frame + frame[:received])
    assert messages == [b"abc"]
    assert isinstance(error, TruncatedError)
    assert error.received == received


def frame(payload: bytes) -> bytes:
    """Return a frame as the gateway's devices send it."""
    return b"AB\x00" + struct.pack("!B", len(payload)) + payload + b"\x00"


def decode_and_count(codec: LengthField, stream: bytes) -> tuple[list[bytes], int]:
    """Return the messages, and how many bytes were skipped."""
    decoder = Decoder(codec)
    decoder.feed(stream)
    messages: list[bytes] = []
    while (message := decoder.next_message()) is not NEED_MORE:
        messages.append(message)
    return messages, decoder.buffer.skipped


@pytest.mark.parametrize(
    ("garbage", "skipped"),
    [
        pytest.param(b"xyz", 3, id="other bytes"),
        pytest.param(b"A", 1, id="half a magic"),
        pytest.param(b"AAA", 3, id="the first byte of the magic, again and again"),
        pytest.param(b"AB", 2, id="a magic and no header"),
        pytest.param(b"AB\x00\xff", 4, id="a length over max_bytes"),
        pytest.param(b"ABAB", 4, id="magics in a row"),
    ],
)
def test_garbage_between_two_frames_is_skipped_and_counted(
    decode: Decode, garbage: bytes, skipped: int
) -> None:
    """After it the next frame is found."""
    stream = frame(b"one") + garbage + frame(b"two") + garbage + frame(b"three")
    messages = [b"one", b"two", b"three"]
    assert decode(GATEWAY, stream) == (messages, None)
    assert decode_and_count(GATEWAY, stream) == (messages, 2 * skipped)


def test_garbage_before_the_first_frame_is_skipped(decode: Decode) -> None:
    """As when one listens to a line that was already speaking."""
    assert decode(GATEWAY, frame(b"half")[3:] + frame(b"one")) == ([b"one"], None)


def test_a_length_below_the_smallest_frame_is_garbage(decode: Decode) -> None:
    """A header that no frame can have is skipped like any other bytes."""
    codec = LengthField(
        offset=2, size=1, adjustment=-3, magic=b"AB", max_garbage_bytes=9
    )
    assert decode(codec, b"AB\x01AB\x05ab") == ([b"AB\x05ab"], None)


def test_garbage_up_to_the_limit_is_skipped(decode: Decode) -> None:
    """The limit is for each gap between two frames."""
    stream = frame(b"one") + b"x" * 10 + frame(b"two") + b"x" * 10 + frame(b"three")
    assert decode(GATEWAY, stream) == ([b"one", b"two", b"three"], None)


@pytest.mark.parametrize("behind", [b"", frame(b"three"), b"x" * 100])
def test_more_garbage_than_the_limit_ends_the_stream(
    decode: Decode, behind: bytes
) -> None:
    """At the limit, wherever the next frame would have begun."""
    stream = frame(b"one") + b"xy" + frame(b"two") + b"x" * 11 + behind
    messages, error = decode(GATEWAY, stream)
    assert messages == [b"one", b"two"]
    assert isinstance(error, InvalidFrameError)
    assert "max_garbage_bytes (10)" in str(error)


@pytest.mark.parametrize("cut", [1, 1000])
def test_no_more_is_skipped_than_the_limit(cut: int) -> None:
    """The count does not depend on how much garbage arrived at once."""
    decoder = Decoder(GATEWAY)
    garbage = b"x" * 200
    with pytest.raises(InvalidFrameError):
        for at in range(0, len(garbage), cut):
            decoder.feed(garbage[at : at + cut])
            decoder.next_message()
    assert decoder.buffer.skipped == 10


def test_garbage_at_the_end_of_the_stream_is_no_truncated_frame(decode: Decode) -> None:
    """But what may have been the beginning of a frame is."""
    assert decode(GATEWAY, frame(b"one") + b"xyz") == ([b"one"], None)
    messages, error = decode(GATEWAY, frame(b"one") + b"xyzA")
    assert messages == [b"one"]
    assert isinstance(error, TruncatedError)
    assert error.received == 1
