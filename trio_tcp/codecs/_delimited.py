r"""Messages that end with a mark: ``hello 0a world 0a``.

A batch is taken out of the chunk by `bytes.split`, which is several times as fast as to
search for the end of each message. Not out of the whole chunk: a decoder that goes on
behind each malformed message would split the same bytes again and again.

Several delimiters must be such that a match can be decided on the bytes it consists
of. With ``\r`` and ``\r\n``, a message that ends in ``\r`` would have to wait for the
byte behind it, which a peer that waits for the answer never sends.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, final

import attrs

from trio_tcp._errors import EncodeError, FrameTooLargeError, MessageTooLargeError
from trio_tcp._kinds import as_bytes, of_kind
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_BYTES, BATCH_MESSAGES
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._limits import DEFAULT_MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["Delimited"]


def _decidable(
    _instance: object, _attribute: object, delimiters: tuple[bytes, ...]
) -> None:
    """Refuse delimiters of which one cannot be told from another in time."""
    if b"" in delimiters:
        raise ValueError("a delimiter must not be empty")
    if len(set(delimiters)) < len(delimiters):
        raise ValueError(f"a delimiter is given twice: {delimiters!r}")
    for short, long in itertools.permutations(delimiters, 2):
        if short in long[:-1]:
            raise ValueError(
                f"delimiter {short!r} occurs in {long!r} before its end: where it is "
                f"found, it would have to wait for bytes that may never come"
            )


@final
@attrs.frozen(init=False)
class Delimited:
    r"""Each message is followed by a delimiter, which is not part of it.

    Of several delimiters, the one that comes first ends the message. It carries any
    bytes but the delimiters, and empty messages too.

    Args:
        delimiter: what ends a message; this one is sent.
        more: others that end a message which is received.
        max_bytes: the largest message, without its delimiter, in either direction.

    Raises:
        ValueError: a delimiter is empty, or occurs in another before its end; or
            ``max_bytes`` is no whole number of at least 1.

    Example::

        assert Delimited(b"\0").encode(b"hello") == b"hello\0"
        lenient = Delimited(b"\r\n", b"\n")  # sends the first, understands both
    """

    delimiters: tuple[bytes, ...] = attrs.field(
        validator=[
            attrs.validators.deep_iterable(of_kind(bytes)),
            _decidable,
        ]
    )
    max_bytes: int = attrs.field(validator=whole(1))
    _pattern: re.Pattern[bytes] | None = attrs.field(init=False, repr=False, eq=False)
    _window_bytes: int = attrs.field(init=False, repr=False, eq=False)

    def __init__(
        self,
        delimiter: bytes,
        /,
        *more: bytes,
        max_bytes: int = DEFAULT_MAX_LINE_BYTES,
    ) -> None:
        self.__attrs_init__((delimiter, *more), max_bytes)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - attrs makes it

    def __attrs_post_init__(self) -> None:
        """Find out once what each message needs."""
        several = len(self.delimiters) > 1
        pattern = re.compile(b"|".join(map(re.escape, self.delimiters)))
        # No message in a piece of this size can be too large.
        window_bytes = min(BATCH_BYTES, self.max_bytes + min(map(len, self.delimiters)))
        # The way that attrs has for what follows from the options of a frozen class.
        object.__setattr__(self, "_pattern", pattern if several else None)
        object.__setattr__(self, "_window_bytes", window_bytes)

    def encode(self, message: bytes, /) -> bytes:
        """Put the first delimiter behind the message.

        Raises:
            TypeError: it is not of bytes.
            MessageTooLargeError: over ``max_bytes``.
            EncodeError: it contains a delimiter, or forms one with the delimiter
                behind it (``xa`` before ``aa``), and would not arrive whole.
        """
        if message.__class__ is not bytes:
            message = as_bytes(message)
        size = len(message)
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        frame = message + self.delimiters[0]
        for delimiter in self.delimiters:
            if -1 < frame.find(delimiter) < size:
                raise EncodeError(
                    f"this message would end too early: a delimiter ({delimiter!r}) "
                    f"begins in it"
                )
        return frame

    def decode(self, buffer: Buffer, /) -> Decoding[bytes]:
        """Yield each message without its delimiter."""
        max_bytes = self.max_bytes
        longest = max(map(len, self.delimiters))
        searched = 0
        while True:
            data, begin = buffer.data, buffer.cursor
            found, end = self._find(data, begin + searched)
            if found < 0:
                searched = self._searched(len(data) - begin, longest)
                yield NEED_MORE
                continue
            if found - begin > max_bytes:
                raise FrameTooLargeError(None, max_bytes, "max_bytes")
            searched = 0
            buffer.cursor = end
            yield bytes(data[begin:found])

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[bytes], int]:
        """Return the messages that are whole: see `BatchCodec`."""
        window = data[start : start + self._window_bytes]
        if self._pattern is None:
            messages = window.split(self.delimiters[0], BATCH_MESSAGES)
        else:
            messages = self._pattern.split(window, BATCH_MESSAGES)
        behind = messages.pop()  # the last delimiter
        return messages, start + len(window) - len(behind)

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `BatchCodec`."""
        pattern = re.compile(b"|".join(map(re.escape, self.delimiters)))
        return (found.end() for found in pattern.finditer(data, start))

    def _find(self, data: bytes | bytearray, begin: int) -> tuple[int, int]:
        """Return where the next delimiter begins and ends, or a negative number."""
        if self._pattern is None:
            (delimiter,) = self.delimiters
            found = data.find(delimiter, begin)
            return found, found + len(delimiter)
        match = self._pattern.search(data, begin)
        return match.span() if match else (-1, -1)

    def _searched(self, size: int, width: int) -> int:
        """Return how many of the last bytes at hand need not be searched again.

        Raises:
            FrameTooLargeError: so many that the message is too large in any case.
        """
        # The last bytes may be the beginning of a delimiter: not counted yet.
        searched = max(0, size - width + 1)
        if searched > self.max_bytes:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")
        return searched
