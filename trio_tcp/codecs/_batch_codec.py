"""Many messages at once: what a codec may offer beside its two methods.

A generator is resumed once for each message, which costs as much as finding a small
message. Where a chunk holds many, a function that returns them all is several times
faster: it has one loop, or none where `bytes.split` does the work.

This is an addition, never the definition. ``decode`` alone says what the messages are;
``decode_batch`` takes the easy ones, and leaves whatever is cut off, too large or wrong
to it. So no rule is written twice, and `Decoder` may use it or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast

from trio_tcp.codecs._codec import Codec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BATCH_BYTES",
    "BATCH_MESSAGES",
    "BatchCodec",
    "DecodeBatch",
    "batch_codec",
]

In = TypeVar("In")
Out_contra = TypeVar("Out_contra", contravariant=True)

BATCH_MESSAGES: Final = 64
"""How many messages a batch has at most. As many as a handler may take without a
schedule point: beyond that, a larger batch gains nothing and holds more memory."""

BATCH_BYTES: Final = 4096
"""How much is looked at for a batch where counting messages is not the natural bound:
about 64 messages of 64 bytes."""

DecodeBatch: TypeAlias = Callable[[bytes, int], tuple[list[In], int]]
"""The type of ``decode_batch``."""


class BatchCodec(Codec[In, Out_contra], Protocol[In, Out_contra]):
    """A codec that can also take many whole messages out of one chunk.

    Only for one whose messages do not depend on those before them: ``decode`` can be
    called anew at any boundary.

    Where only some options of a codec allow it, ``decode_batch`` is None with others.
    """

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[In], int]:
        """Decode the messages that are whole, from the boundary at ``start`` on.

        It looks at one piece of bounded size, about `BATCH_MESSAGES` or `BATCH_BYTES`,
        so that a handler which stops early has not had megabytes decoded for nothing.
        It stops before the first message that is not whole here, or that ``decode``
        would raise for, and never raises.

        Returns:
            The messages, and the index behind the last of them. There may be none.
        """
        ...

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message of a batch.

        For somebody who stopped in the middle of it: called seldom, with the arguments
        of a ``decode_batch`` that has returned that many messages or more.
        """
        ...


def batch_codec(codec: Codec[In, Any]) -> BatchCodec[In, Any] | None:
    """Return the codec if it can decode many messages at once, or else None."""
    if getattr(codec, "decode_batch", None) is None:
        return None
    return cast("BatchCodec[In, Any]", codec)
