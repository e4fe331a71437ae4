"""Large messages without needless copies: what a codec may offer beside its methods.

A message is cut out of the bytes with which it arrived, and encoded by putting bytes
together. For a small one that costs nothing to speak of. One of 64 KiB is copied for
longer than everything else about it takes: put behind what came before, cut out, and on
the way back put behind its prefix. A codec that can say how far a message will reach
(``extent``), as soon as its header is there, has it kept in the pieces in which it
comes, and put together once. One that can leave header and payload apart
(``encode_parts``) has them sent as they are.

As with `BatchCodec`, this is never the definition: ``decode`` and ``encode`` are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    final,
)

from trio_tcp.codecs._codec import Codec

if TYPE_CHECKING:
    from trio_tcp.codecs._buffer import Buffer

__all__ = [
    "LARGE_BYTES",
    "Extent",
    "FindExtent",
    "LargeCodec",
    "LargeMessage",
    "PartsCodec",
    "encode_parts",
    "large_codec",
]

In = TypeVar("In")
In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)

LARGE_BYTES: Final = 16 << 10
"""From here on a message is large. Below, copying it costs less than looking after its
pieces does."""

SMALL_PIECE_BYTES: Final = 1024
"""Shorter pieces are put together: each object costs 40 bytes or more beside what is in
it, and whoever sends single bytes must not make us hold many times as much."""


class Extent(NamedTuple):
    """Where a message lies, counted from its first byte.

    Attributes:
        begin: of its payload.
        end: of its payload.
        size: of all: the next message begins here.
    """

    begin: int
    end: int
    size: int


FindExtent: TypeAlias = Callable[[bytes, int], Extent | None]
"""The type of ``extent``."""


class LargeCodec(Codec[In_co, Out_contra], Protocol[In_co, Out_contra]):
    """A codec that can tell where a message will end before it is there.

    Only for one whose ``decode`` can be called anew at any boundary.
    """

    def extent(self, data: bytes, start: int, /) -> Extent | None:
        """Say how far the message that begins at ``start`` reaches, if it is valid.

        Returns:
            None where that is not known yet, and for what ``decode`` would raise for.
        """
        ...

    def from_payload(self, payload: bytes, /) -> In_co:
        """Make the message.

        Raises:
            MalformedMessageError: as ``decode``.
        """
        ...


class PartsCodec(Protocol):
    """A codec that can encode bytes without copying them."""

    def encode_parts(self, message: bytes, /) -> tuple[bytes, bytes]:
        """Return the bytes of ``encode`` in two parts, of which one is the message."""
        ...


def encode_parts(codec: Codec[Any, Any], message: bytes) -> tuple[bytes, bytes] | None:
    """Encode a large message, not copying it; None if the codec cannot do that."""
    if getattr(codec, "encode_parts", None) is None:
        return None
    return cast("PartsCodec", codec).encode_parts(message)


def large_codec(codec: Codec[In, Any]) -> LargeCodec[In, Any] | None:
    """Return the codec if it can tell where a message will end, or else None."""
    if getattr(codec, "extent", None) is None:
        return None
    return cast("LargeCodec[In, Any]", codec)


@final
class LargeMessage:
    """A large message of which not all is there yet.

    Its beginning is in a buffer, from `Buffer.start` on; what comes behind that is kept
    here, in pieces.

    Args:
        buffer: has the beginning, with all that is before its payload.
        extent: how far it reaches.

    Attributes:
        missing: how many bytes are not there yet; none, or less, when it is whole.
    """

    __slots__ = ("_buffer", "_extent", "_pieces", "missing")

    def __init__(self, buffer: Buffer, extent: Extent) -> None:
        self._buffer = buffer
        self._extent = extent
        self._pieces: list[bytes | bytearray] = []
        self.missing: int = extent.size - (len(buffer.data) - buffer.start)

    def add(self, chunk: bytes) -> None:
        """Take what comes behind."""
        pieces = self._pieces
        if self.missing <= 0 and not isinstance(pieces[-1], bytearray):
            pieces[-1] = bytearray(pieces[-1])  # the message ends in it: the last one
        if len(chunk) >= SMALL_PIECE_BYTES and self.missing > 0:
            pieces.append(chunk)
        elif pieces and isinstance(last := pieces[-1], bytearray):
            last += chunk
        else:
            pieces.append(bytearray(chunk))
        self.missing -= len(chunk)
        self._buffer.beyond += len(chunk)

    def take(self) -> bytes:
        """Return its payload, and leave in the buffer what is behind it."""
        buffer, pieces = self._buffer, self._pieces
        begin, end, size = self._extent
        last = pieces.pop()
        behind = len(last) + self.missing  # is not positive
        parts: list[bytes | bytearray | memoryview] = [
            memoryview(buffer.data)[buffer.start + begin :],
            *pieces,
            memoryview(last)[:behind],
        ]
        payload = b"".join(parts)
        if end < size:
            payload = payload[: end - begin]
        if behind == len(last):
            last, behind = b"", 0
        buffer.data, buffer.start, buffer.cursor = last, behind, behind
        buffer.beyond = 0
        return payload

    def put_back(self) -> None:
        """Leave everything in the buffer: what is there is to be seen as it is."""
        buffer = self._buffer
        parts = (memoryview(buffer.data)[buffer.start :], *self._pieces)
        buffer.data, buffer.start, buffer.cursor = b"".join(parts), 0, 0
        buffer.beyond = 0
