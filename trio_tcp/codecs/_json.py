"""Messages as JSON, read into types of your own by msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, final, overload

import attrs

from trio_tcp.codecs._codec import Codec
from trio_tcp.codecs._delimited import Delimited
from trio_tcp.codecs._mapped import Mapped
from trio_tcp.codecs._msgspec import missing_msgspec

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator

    from trio_tcp.codecs._batch_codec import DecodeBatch
    from trio_tcp.codecs._buffer import Buffer
    from trio_tcp.codecs._codec import Decoding
    from trio_tcp.codecs._large_codec import FindExtent

__all__ = ["Json"]

T = TypeVar("T")

ONE_PER_LINE: Final = Delimited(b"\n")
"""JSON Lines: a document never contains a line end, except as white space between its
parts, which msgspec does not write."""


@final
@attrs.frozen(init=False)
class Json(Codec[T, T]):
    r"""Each message is a JSON document; without other framing, one per line.

    Needs msgspec: ``pip install 'trio-tcp[msgspec]'``.

    Args:
        type: what a document is read into, and checked against: an attrs class, a
            dataclass, a ``msgspec.Struct``, ``list[int]``, …; one that does not fit
            is a `MalformedMessageError`. `typing.Any`: dicts, lists, str, ….
        framing: the codec underneath; it has the limits.

    Raises:
        ModuleNotFoundError: msgspec is not installed.
        TypeError: msgspec does not support ``type``.

    Example::

        @attrs.frozen
        class Move:
            piece: str
            to: str

        moves = Json(Move)
        assert moves.encode(Move("e2", to="e4")) == b'{"piece":"e2","to":"e4"}\n'
    """

    type: Any
    framing: Codec[bytes, bytes]
    _mapped: Mapped[T, T] = attrs.field(repr=False, eq=False)

    @overload
    def __init__(
        self, type: builtins.type[T], *, framing: Codec[bytes, bytes] = ...
    ) -> None: ...

    @overload
    def __init__(
        self: Json[Any], type: object = ..., *, framing: Codec[bytes, bytes] = ...
    ) -> None: ...

    def __init__(
        self,
        type: Any = Any,  # noqa: A002 - msgspec's own word for it
        *,
        framing: Codec[bytes, bytes] = ONE_PER_LINE,
    ) -> None:
        try:
            import msgspec.json  # noqa: PLC0415 - optional
        except ImportError as error:
            raise missing_msgspec("Json") from error
        mapped = Mapped(
            framing,
            decode=msgspec.json.Decoder(type).decode,
            encode=msgspec.json.Encoder().encode,
        )
        self.__attrs_init__(type, framing, mapped)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - attrs makes it

    def encode(self, message: T, /) -> bytes:
        """Write the document, and put it into a frame.

        Raises:
            EncodeError: the message cannot be written as JSON, or is too large.
        """
        return self._mapped.encode(message)

    def decode(self, buffer: Buffer, /) -> Decoding[T]:
        """Yield the document of each frame as ``type``."""
        return self._mapped.decode(buffer)

    @property
    def decode_batch(self) -> DecodeBatch[T] | None:
        """A function that returns messages that are whole: see `BatchCodec`.

        None if the framing has none.
        """
        return self._mapped.decode_batch

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        return self._mapped.boundaries(data, start)

    @property
    def extent(self) -> FindExtent | None:
        """A function that says how far a message reaches: see `LargeCodec`.

        None if the framing has none.
        """
        return self._mapped.extent

    def from_payload(self, payload: bytes, /) -> T:
        """Make the message: see `LargeCodec`."""
        return self._mapped.from_payload(payload)
