"""The promises of all codecs, each checked with one given example.

The reference is always the same: the stream byte by byte. Whatever comes of that, any
other cutting has to give too, for whole streams as for damaged ones.
"""

from __future__ import annotations

from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, final

import attrs

from trio_tcp._errors import EncodeError
from trio_tcp.codecs._batch_codec import batch_codec
from trio_tcp.codecs._large_codec import encode_parts, large_codec
from trio_tcp.testing._codec_batches import Alone, BatchPromises
from trio_tcp.testing._codec_extents import ExtentPromises
from trio_tcp.testing._codec_run import (
    CodecRun,
    Malformed,
    Observation,
    cut,
    is_same,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_tcp.codecs import Codec

__all__ = ["CodecPromises", "Frame"]

In = TypeVar("In")
Out = TypeVar("Out")

BYTE_BY_BYTE: Final = (1,)

CLEAN_END: Final = "a clean end"

FILL_BYTES: Final = 4096
"""How much garbage is fed at a time where it never ends."""


@final
@attrs.frozen
class Frame(Generic[Out]):
    """A message, and the bytes that carry it."""

    message: Out
    data: bytes


@final
@attrs.frozen
class CodecPromises(Generic[In, Out]):
    """What one codec has promised.

    Args:
        codec: the codec.
        join: what makes one message of several, where the codec has no boundaries.
        max_unread_bytes: how much it may hold before it refuses the stream.
    """

    codec: Codec[In, Out]
    join: Callable[[list[Any]], Any] | None
    max_unread_bytes: int

    def frame(self, message: Out) -> Frame[Out] | None:
        """Encode, if the codec does not refuse the message."""
        try:
            data = self.codec.encode(message)
        except EncodeError:
            return None
        except Exception as error:
            raise AssertionError(
                f"promise 3 is broken: encode raised {error!r}, and not an "
                f"EncodeError, for {message!r}"
            ) from error
        if type(data) is not bytes:
            raise AssertionError(
                f"encode returned {data!r} for {message!r}, which is not bytes"
            )
        return Frame(message, data)

    def check(
        self, frames: list[Frame[Out]], tail: bytes, sizes: Sequence[int]
    ) -> None:
        """Check all that can be said of frames, then any bytes, cut into chunks."""
        self.check_batches(frames, tail, sizes)
        self.check_extents(frames, tail)
        self.check_parts(frames)
        self.check_arrival(frames, sizes)
        self.check_cutting(frames, tail, sizes)
        self.check_independence(frames, tail, sizes)
        for frame in frames[:1]:
            self.check_next(tail, frame)

    def check_arrival(self, frames: list[Frame[Out]], sizes: Sequence[int]) -> None:
        """Messages arrive as they were sent, alone and one after the other."""
        stream = b"".join(frame.data for frame in frames)
        messages = self._joined([frame.message for frame in frames])
        expected = Observation(messages, CLEAN_END, len(stream), 0)
        for cutting in (sizes, BYTE_BY_BYTE):
            came = self._observe(stream, cutting)
            if not is_same(came, expected):
                raise self._broken(
                    "messages do not arrive as sent", stream, cutting, came, expected
                )

    def check_batches(
        self, frames: list[Frame[Out]], tail: bytes, sizes: Sequence[int]
    ) -> None:
        """Many messages at once are the same, and end at the same places."""
        codec = batch_codec(self.codec)
        if codec is not None and self.join is None:
            stream = b"".join(frame.data for frame in frames) + tail
            BatchPromises(codec).check(stream, sizes)

    def check_extents(self, frames: list[Frame[Out]], tail: bytes) -> None:
        """How far a message reaches is known before it is there."""
        codec = large_codec(self.codec)
        if codec is not None:
            stream = b"".join(frame.data for frame in frames) + tail
            ExtentPromises(codec).check(stream)

    def check_parts(self, frames: list[Frame[Out]]) -> None:
        """Encoded in parts, it is the same."""
        for frame in frames:
            message = frame.message
            if not isinstance(message, bytes):
                continue
            parts = encode_parts(self.codec, message)
            if parts is not None and b"".join(parts) != frame.data:
                raise AssertionError(
                    f"encode_parts gives something else than encode: {parts!r} and "
                    f"{frame.data!r}"
                )

    def check_cutting(
        self, frames: list[Frame[Out]], tail: bytes, sizes: Sequence[int]
    ) -> None:
        """How a stream is cut makes no difference, and whole messages come first."""
        stream = b"".join(frame.data for frame in frames) + tail
        expected = self._observe(stream, BYTE_BY_BYTE, Alone(self.codec))
        for cutting in (sizes, (len(stream) or 1,), (), *self._also()):
            came = self._observe(stream, cutting)
            if not is_same(came, expected):
                raise self._broken(
                    "promise 1 is broken: another cutting of the same bytes gives "
                    "something else than byte by byte",
                    stream,
                    cutting,
                    came,
                    expected,
                )
        messages: list[object] = [frame.message for frame in frames]
        first = expected.items[: len(messages)]
        if self.join is None and not is_same(first, messages):
            raise self._broken(
                "promise 1 is broken: what was whole does not come before the error",
                stream,
                BYTE_BY_BYTE,
                expected,
                f"first of all {messages!r}",
            )

    def check_next(self, stream: bytes, frame: Frame[Out]) -> None:
        """After a frame, be its content good or bad, the next message arrives."""
        run = CodecRun(self.codec)
        run.feed(stream)
        if run.error is not None or run.unread:
            return  # the stream does not end between two frames
        items = self._joined([*run.items, frame.message])
        came = run.end(frame.data)
        came = attrs.evolve(came, items=self._joined(came.items))
        expected = Observation(
            items, CLEAN_END, len(stream) + len(frame.data), came.skipped
        )
        if not is_same(came, expected):
            raise self._broken(
                "promise 4 is broken: the message behind a frame does not arrive",
                stream + frame.data,
                (len(stream), len(frame.data)),
                came,
                expected,
            )

    def check_independence(
        self, frames: list[Frame[Out]], other: bytes, sizes: Sequence[int]
    ) -> None:
        """Two decoders that share the codec do not disturb each other."""
        stream = b"".join(frame.data for frame in frames)
        expected = self._observe(stream, sizes)
        run, other_run = CodecRun(self.codec), CodecRun(self.codec)
        for chunk, other_chunk in zip_longest(
            cut(stream, sizes), cut(other, sizes), fillvalue=b""
        ):
            run.feed(chunk)
            other_run.feed(other_chunk)
        came = run.end()
        came = attrs.evolve(came, items=self._joined(came.items))
        if not is_same(came, expected):
            raise self._broken(
                f"decoders share state: while another decoded {other!r}, there came "
                f"something else than alone",
                stream,
                sizes,
                came,
                expected,
            )

    def check_memory(self, head: bytes, fill: bytes) -> None:
        """Garbage without end is refused, or forgotten, before it fills the memory."""
        run = CodecRun(self.codec)
        run.feed(head)
        chunk = fill * (FILL_BYTES // len(fill) + 1)
        for _ in range(self.max_unread_bytes // FILL_BYTES + 2):
            run.feed(chunk)
            run.items.clear()
            if run.unread > self.max_unread_bytes:
                raise AssertionError(
                    f"promise 2 is broken: {run.unread} bytes are held, more than "
                    f"max_unread_bytes ({self.max_unread_bytes})\n"
                    f"    codec:  {self.codec!r}\n"
                    f"    stream: {head!r}, then {fill!r} over and over"
                )

    def _also(self) -> list[Sequence[int]]:
        """Return one more cutting, for a codec that is not just its ``decode``."""
        return [] if batch_codec(self.codec) is None else [BYTE_BY_BYTE]

    def _observe(
        self,
        stream: bytes,
        sizes: Sequence[int],
        codec: Codec[In, Out] | None = None,
    ) -> Observation:
        """Decode the stream in chunks; no sizes: in one, with the end known at once."""
        run = CodecRun(codec or self.codec)
        try:
            if sizes:
                for chunk in cut(stream, sizes):
                    run.feed(chunk)
                seen = run.end()
            else:
                seen = run.end(stream)
        except AssertionError as error:
            error.add_note(
                f"    codec:  {self.codec!r}\n"
                f"    stream: {stream!r}\n"
                f"    cut:    {_name(sizes)}"
            )
            raise
        return attrs.evolve(seen, items=self._joined(seen.items))

    def _joined(self, items: Sequence[object]) -> list[object]:
        """Join the messages between malformed ones, where boundaries mean nothing."""
        if self.join is None:
            return list(items)
        joined: list[object] = []
        for malformed, group in groupby(
            items, lambda item: isinstance(item, Malformed)
        ):
            run = list(group)
            joined += run if malformed else [self.join(run)]
        return joined

    def _broken(
        self,
        promise: str,
        stream: bytes,
        sizes: Sequence[int],
        came: Observation,
        expected: Observation | str,
    ) -> AssertionError:
        return AssertionError(
            f"{promise}\n"
            f"    codec:    {self.codec!r}\n"
            f"    stream:   {stream!r}\n"
            f"    cut:      {_name(sizes)}\n"
            f"    came:     {came}\n"
            f"    expected: {expected}"
        )


def _name(sizes: Sequence[int]) -> str:
    if not sizes:
        return "in one piece, with the end of the stream"
    if tuple(sizes) == BYTE_BY_BYTE:
        return "byte by byte"
    return f"in chunks of {', '.join(map(str, sizes))} bytes, over and over"
