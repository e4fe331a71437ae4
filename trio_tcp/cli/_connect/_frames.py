"""Messages together with the bytes that carried them.

A codec as it is says what a message means. Who looks at a protocol from outside wants
to see what was on the wire, too: above all where it was no message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import attrs

from trio_tcp import FramingError, MalformedMessageError, TruncatedError, codecs

__all__ = ["Frame", "Frames"]


@attrs.frozen
class Frame:
    """What was on the wire, and what it means.

    Attributes:
        data: the bytes, with all that the framing puts around a message.
        message: what the codec makes of them.
        error: why they are no message; then ``message`` is None.
    """

    data: bytes
    message: object = None
    error: Exception | None = None


@final
@attrs.frozen
class Frames(codecs.Codec[Frame, bytes]):
    """Another codec's messages, with their bytes.

    What is sent is encoded already. What is received and is no message is a frame, too:
    a malformed one, what broke the framing, what the peer left unfinished. After the
    last two the connection ends, with the same error as it would without this.

    Args:
        codec: the codec of the protocol.
    """

    codec: codecs.Codec[Any, Any]

    def encode(self, message: bytes, /) -> bytes:
        """Take what is encoded already."""
        return message

    def decode(self, buffer: codecs.Buffer, /) -> Iterator[Frame | codecs.NeedMore]:
        """Yield each frame, and what was no frame before its error."""
        while True:
            try:
                yield from self._frames(buffer)
            except MalformedMessageError as error:
                yield Frame(_consumed(buffer), error=error)
            except FramingError as error:
                yield Frame(buffer.unread(), error=error)
                raise

    def _frames(self, buffer: codecs.Buffer) -> Iterator[Frame | codecs.NeedMore]:
        for message in self.codec.decode(buffer):
            if message is not codecs.NEED_MORE:
                yield Frame(_consumed(buffer), message)
            else:
                if buffer.ended and (unfinished := buffer.unread()):
                    start = buffer.start
                    yield Frame(unfinished, error=TruncatedError(len(unfinished)))
                    # It is not delivered by that: the stream has ended inside it.
                    buffer.start = start
                yield codecs.NEED_MORE


def _consumed(buffer: codecs.Buffer) -> bytes:
    return bytes(buffer.data[buffer.start : buffer.cursor])
