"""What a codec is: two methods that turn messages into bytes and back.

To add a codec: one file beside this one, one line in ``__init__``, one test that hands
it to `trio_tcp.testing.check_codec`. A codec is plain logic: no Trio, no sockets.

**encode** takes a message and returns its bytes. What the framing cannot carry is
refused with an `EncodeError`, before anything is sent.

**decode** is a generator that lives as long as its connection. It reads a `Buffer`
and yields each whole message, or `NEED_MORE` where the bytes that have arrived do not
make one; it is resumed when more are there, so its progress can stay in local
variables, and no byte needs to be looked at twice. It never learns how the network cut
the bytes. What it raises decides what follows:

* `MalformedMessageError`, with the whole frame consumed: `receive` raises it, and
  decoding starts anew (``decode`` is called again) behind that frame.
* `FramingError` (or a subclass): the framing is lost, and the connection ends.

At the end of the stream a generator that has asked for more is resumed once again, now
with ``buffer.ended``; one that has nothing to say about it just yields `NEED_MORE`, and
bytes of an unfinished message are reported as `TruncatedError` for it.

A complete codec, "type, length, value"::

    HEADER = struct.Struct("!BH")

    class Tlv:
        def encode(self, message: tuple[int, bytes]) -> bytes:
            kind, value = message
            if len(value) > 0xFFFF:
                raise trio_tcp.MessageTooLargeError(len(value), 0xFFFF, "the format")
            return HEADER.pack(kind, len(value)) + value

        def decode(self, buffer: codecs.Buffer) -> codecs.Decoding[tuple[int, bytes]]:
            while True:
                header = yield from buffer.exactly(HEADER.size)
                kind, size = HEADER.unpack(header)
                yield kind, (yield from buffer.exactly(size))

A codec is immutable configuration: all connections share it. What changes while a
connection lives belongs in the generator's local variables.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from trio_tcp.codecs._buffer import Buffer

__all__ = ["NEED_MORE", "Codec", "Decoding", "NeedMore"]

T = TypeVar("T")
In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)


class NeedMore(enum.Enum):
    """The type of `NEED_MORE`."""

    NEED_MORE = "need more"


NEED_MORE: Final = NeedMore.NEED_MORE
"""What a decoder yields when the bytes so far do not make a whole message."""

Decoding: TypeAlias = Generator[T | NeedMore, None, None]
"""What ``decode`` returns: a generator of messages and `NEED_MORE`."""


class Codec(Protocol[In_co, Out_contra]):
    """How messages become bytes, and bytes messages. See this module's text."""

    def encode(self, message: Out_contra, /) -> bytes:
        """Turn one message into the bytes that carry it.

        Raises:
            EncodeError: the framing cannot carry this message, or it is too large.
        """
        ...

    def decode(self, buffer: Buffer, /) -> Iterator[In_co | NeedMore]:
        """Yield the messages in the buffer, and `NEED_MORE` where there is none.

        Raises:
            MalformedMessageError: a whole frame with bad content, already consumed.
            FramingError: what follows cannot be told apart into messages.
        """
        ...
