"""Messages as your own objects: two functions over any framing.

A protobuf message with its length before it, and a checksum behind each frame::

    people = Mapped(
        VarintPrefixed(), decode=Person.FromString, encode=Person.SerializeToString
    )

    def add_checksum(payload: bytes) -> bytes:
        return payload + zlib.crc32(payload).to_bytes(4, "big")

    def check_checksum(frame: bytes) -> bytes:
        payload = frame[:-4]
        if add_checksum(payload) != frame:
            raise ValueError("wrong checksum")
        return payload

    checked = Mapped(LengthPrefixed(), decode=check_checksum, encode=add_checksum)
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, final

import attrs

from trio_tcp._errors import EncodeError, MalformedMessageError
from trio_tcp._kinds import check_codec, check_function
from trio_tcp._printable import MAX_QUOTED_CHARS, printable
from trio_tcp.codecs._batch_codec import DecodeBatch, batch_codec
from trio_tcp.codecs._codec import NEED_MORE, Codec, Decoding
from trio_tcp.codecs._large_codec import FindExtent, large_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["Mapped"]

In = TypeVar("In")
Out = TypeVar("Out")
FrameIn = TypeVar("FrameIn")
FrameOut = TypeVar("FrameOut")


def _describe(error: Exception) -> str:
    # It may quote the message, as int() and float() do.
    return f"{type(error).__name__}: {printable(str(error), MAX_QUOTED_CHARS)}"


@final
@attrs.frozen(init=False)
class Mapped(Codec[In, Out]):
    r"""The messages of another codec, turned into your own objects and back.

    Args:
        framing: the codec underneath; it has the limits.
        decode: a function from one of its messages to yours. An exception that it
            raises is a `MalformedMessageError`, whose text has the first and last of
            its own, 100 characters in all; and the next message follows.
        encode: a function from one of your messages to one of its own. An exception
            that it raises is an `EncodeError`; nothing is sent.

    Example::

        numbers = Mapped(Lines(), decode=int, encode=str)
        assert numbers.encode(42) == b"42\n"
    """

    framing: Codec[Any, Any]
    _decode: Callable[[Any], In]
    _encode: Callable[[Out], Any]
    _decode_frames: DecodeBatch[Any] | None = attrs.field(
        init=False, repr=False, eq=False
    )

    def __init__(
        self,
        framing: Codec[FrameIn, FrameOut],
        *,
        decode: Callable[[FrameIn], In],
        encode: Callable[[Out], FrameOut],
    ) -> None:
        # What a frame is concerns these three alone: checked here, and not a part of
        # the type of this codec.
        check_codec("framing", framing)
        check_function("decode", decode)
        check_function("encode", encode)
        self.__attrs_init__(framing, decode, encode)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - attrs makes it

    def __attrs_post_init__(self) -> None:
        """Find out once whether the framing can decode many messages at once."""
        # The way that attrs has for what follows from the options of a frozen class.
        framing = batch_codec(self.framing)
        decode_frames = None if framing is None else framing.decode_batch
        object.__setattr__(self, "_decode_frames", decode_frames)

    def encode(self, message: Out, /) -> bytes:
        """Turn the message into one of the framing, and encode that.

        Raises:
            EncodeError: ``encode`` raised its cause, or the framing refused the result.
        """
        try:
            frame = self._encode(message)
        except EncodeError:
            raise
        except Exception as error:
            raise EncodeError(
                f"this message cannot be encoded: {_describe(error)}"
            ) from error
        return self.framing.encode(frame)

    def decode(self, buffer: Buffer, /) -> Decoding[In]:
        """Yield what ``decode`` makes of each message of the framing."""
        for frame in self.framing.decode(buffer):
            yield NEED_MORE if frame is NEED_MORE else self._message(frame)

    def _message(self, frame: object) -> In:
        try:
            return self._decode(frame)
        except MalformedMessageError:
            raise
        except Exception as error:
            raise MalformedMessageError(
                f"a message cannot be decoded: {_describe(error)}"
            ) from error

    @property
    def decode_batch(self) -> DecodeBatch[In] | None:
        """A function that returns messages that are whole: see `BatchCodec`.

        None if the framing has none.
        """
        return None if self._decode_frames is None else self._decode_batch

    def _decode_batch(self, data: bytes, start: int) -> tuple[list[In], int]:
        assert self._decode_frames is not None
        frames, end = self._decode_frames(data, start)
        decode = self._decode
        messages: list[In] = []
        try:
            for frame in frames:
                messages.append(decode(frame))  # noqa: PERF401 - kept on exception
        except Exception:  # noqa: BLE001 - the other `decode` raises it again
            ends = islice(self.boundaries(data, start), len(messages))
            end = max(ends, default=start)
        return messages, end

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        framing = batch_codec(self.framing)
        assert framing is not None
        return framing.boundaries(data, start)

    @property
    def extent(self) -> FindExtent | None:
        """A function that says how far a message reaches: see `LargeCodec`.

        None if the framing has none.
        """
        framing = large_codec(self.framing)
        return None if framing is None else framing.extent

    def from_payload(self, payload: bytes, /) -> In:
        """Make the message: see `LargeCodec`."""
        framing = large_codec(self.framing)
        assert framing is not None
        return self._message(framing.from_payload(payload))
