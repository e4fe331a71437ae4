"""Messages as MessagePack values, read into types of your own by msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, final, overload

import attrs

from trio_tcp.codecs._codec import Codec
from trio_tcp.codecs._length_prefixed import LengthPrefixed
from trio_tcp.codecs._limits import DEFAULT_MAX_LINE_BYTES
from trio_tcp.codecs._mapped import Mapped
from trio_tcp.codecs._msgspec import missing_msgspec

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator

    from trio_tcp.codecs._batch_codec import DecodeBatch
    from trio_tcp.codecs._buffer import Buffer
    from trio_tcp.codecs._codec import Decoding
    from trio_tcp.codecs._large_codec import FindExtent

__all__ = ["MessagePack"]

T = TypeVar("T")

TYPED: Final = LengthPrefixed()

ANYTHING: Final = LengthPrefixed(max_bytes=DEFAULT_MAX_LINE_BYTES)
"""Where no type says what may come, a map may have arrays as keys. They become tuples,
whose hashes are not salted, so that a peer can choose keys that all have the same: to
read these takes time by the square of their number, and is bounded by this."""


@final
@attrs.frozen(init=False)
class MessagePack(Codec[T, T]):
    r"""Each message is a MessagePack value; without other framing, behind its length.

    Needs msgspec: ``pip install 'trio-tcp[msgspec]'``.

    Args:
        type: what a value is read into, and checked against: an attrs class, a
            dataclass, a ``msgspec.Struct``, ``list[int]``, …; one that does not fit
            is a `MalformedMessageError`. `typing.Any`: dicts, lists, str, bytes, ….
        framing: the codec underneath; it has the limits. By default a length of 4
            bytes, and 1 MiB at most; 64 KiB where ``type`` is `typing.Any`.

    Raises:
        ModuleNotFoundError: msgspec is not installed.
        TypeError: msgspec does not support ``type``.

    Example::

        numbers = MessagePack(list[int])
        assert numbers.encode([1, 2, 3]) == b"\0\0\0\x04" b"\x93\1\2\3"
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
        self: MessagePack[Any],
        type: object = ...,
        *,
        framing: Codec[bytes, bytes] = ...,
    ) -> None: ...

    def __init__(
        self,
        type: Any = Any,  # noqa: A002 - msgspec's own word for it
        *,
        framing: Codec[bytes, bytes] | None = None,
    ) -> None:
        try:
            import msgspec.msgpack  # noqa: PLC0415 - optional
        except ImportError as error:
            raise missing_msgspec("MessagePack") from error
        if framing is None:
            framing = ANYTHING if type is Any else TYPED
        mapped = Mapped(
            framing,
            decode=msgspec.msgpack.Decoder(type).decode,
            encode=msgspec.msgpack.Encoder().encode,
        )
        self.__attrs_init__(type, framing, mapped)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - attrs makes it

    def encode(self, message: T, /) -> bytes:
        """Write the value, and put it into a frame.

        Raises:
            EncodeError: the message cannot be written as MessagePack, or is too large.
        """
        return self._mapped.encode(message)

    def decode(self, buffer: Buffer, /) -> Decoding[T]:
        """Yield the value of each frame as ``type``."""
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
