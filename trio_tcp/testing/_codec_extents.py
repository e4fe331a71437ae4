"""What a codec that can tell how far a message will reach has promised besides.

As for batches, the reference is its own ``decode``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

import attrs

from trio_tcp._errors import MalformedMessageError
from trio_tcp.testing._codec_batches import items_of
from trio_tcp.testing._codec_run import is_same

if TYPE_CHECKING:
    from trio_tcp.codecs import Extent, LargeCodec
    from trio_tcp.testing._codec_batches import Item

__all__ = ["ExtentPromises"]

In = TypeVar("In")

HEADER_BYTES = 32
"""How far into each message it is asked byte by byte. Longer headers are rare."""


@final
@attrs.frozen
class ExtentPromises(Generic[In]):
    """What one codec has promised with ``extent`` and ``from_payload``."""

    codec: LargeCodec[In, Any]

    def check(self, stream: bytes) -> None:
        """Check each message of a stream, and what is behind the last of them."""
        items, is_lost = items_of(self.codec, stream)
        start = 0
        for item in items:
            for end in {*range(start, start + HEADER_BYTES), len(stream)}:
                self._check_message(stream, end, start, item)
            start = item.end
        for end in range(start, len(stream) + 1):
            extent = self._call(stream[:end], start)
            if extent is not None and (is_lost or start + extent.size <= len(stream)):
                raise self._broken("has no message there", stream, start, extent)

    def _check_message(self, stream: bytes, end: int, start: int, item: Item) -> None:
        extent = self._call(stream[:end], start)
        if extent is None:
            return  # it need not know
        if start + extent.size != item.end or not (
            0 <= extent.begin <= extent.end <= extent.size
        ):
            raise self._broken(f"ends at {item.end}", stream, start, extent)
        payload = stream[start + extent.begin : start + extent.end]
        message = self._message(payload)
        if not is_same(message, None if item.is_malformed else item.message):
            raise self._broken(f"has {item.message!r}", stream, start, message)

    def _call(self, data: bytes, start: int) -> Extent | None:
        try:
            return self.codec.extent(data, start)
        except Exception as error:
            raise self._broken("never raises", data, start, error) from error

    def _message(self, payload: bytes) -> In | None:
        try:
            return self.codec.from_payload(payload)
        except MalformedMessageError:
            return None

    def _broken(
        self, what: str, stream: bytes, start: int, came: object
    ) -> AssertionError:
        return AssertionError(
            f"promise 1 is broken: extent gives something else than decode, which "
            f"{what}\n"
            f"    codec:  {self.codec!r}\n"
            f"    stream: {stream!r}\n"
            f"    start:  {start}\n"
            f"    came:   {came!r}"
        )
