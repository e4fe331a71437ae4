"""Lines of text: ``hello 0d 0a world 0a``.

The limit counts the bytes of a line without its terminator. A carriage return at the
end of what has arrived is not counted yet, as the line feed that makes it a part of
the terminator may be the next byte.

As in ``_delimited.py``, lines are taken out of the chunk by ``split``, a part of the
chunk at a time. Where the encoding allows it, a batch decodes the text of all its lines
at once, and splits that.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Literal, final

import attrs

from trio_tcp._errors import (
    EncodeError,
    FrameTooLargeError,
    MalformedMessageError,
    MessageTooLargeError,
)
from trio_tcp._kinds import one_of
from trio_tcp._validators import whole
from trio_tcp.codecs._batch_codec import BATCH_BYTES, BATCH_MESSAGES, DecodeBatch
from trio_tcp.codecs._codec import NEED_MORE, Decoding
from trio_tcp.codecs._limits import DEFAULT_MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_tcp.codecs._buffer import Buffer

__all__ = ["Lines"]

LINE_FEED: Final = 0x0A
CARRIAGE_RETURN: Final = 0x0D

EXACT_ENCODINGS: Final = frozenset({"utf-8", "utf8", "ascii", "latin-1"})
"""Where all text that can be encoded arrives as it was. Some others, as Python has
them, are not exact: in Shift JIS, the sign of the yen arrives as a backslash. In these,
the text of many lines is also the same whether they are decoded together or apart."""

SPLIT_BYTES: Final = 2048
"""How much is split at a time: enough that a search and a slice for it do not show
(a few % with lines of 64 bytes), little enough to be done again after an error."""


def _is_apart(newline: str, encoding: str) -> bool:
    """Return whether this character is one byte, which is no part of any other."""
    byte = newline.encode("ascii")
    if newline.encode(encoding) != byte:
        return False
    for first in range(256):
        # Behind the first byte of a longer character it must be itself, or an error.
        with contextlib.suppress(UnicodeDecodeError):
            if not (bytes([first]) + byte).decode(encoding).endswith(newline):
                return False
    return True


def _has_lines(_instance: object, _attribute: object, encoding: str) -> None:
    """Refuse an encoding whose text cannot be cut at the bytes 0x0a and 0x0d."""
    try:
        has_lines = _is_apart("\n", encoding) and _is_apart("\r", encoding)
    except LookupError as error:
        raise ValueError(f"encoding: {error}") from None
    except UnicodeError:
        has_lines = False
    if not has_lines:
        raise ValueError(
            f"encoding {encoding!r} has no lines of bytes: in it, a line end is not "
            f"the byte 0x0a, or this byte can be a part of something else"
        )


@final
@attrs.frozen
class Lines:
    r"""Lines of text, as `str`, without their line ends.

    Both ``\n`` and ``\r\n`` end a line that is received. A ``\r`` anywhere else is a
    character like others, but may not be the last one of a message.

    Args:
        encoding: of the text. One in which line ends have other bytes (UTF-16, UTF-32,
            EBCDIC) is refused.
        newline: what ends a line that is sent: ``"\n"`` or ``"\r\n"``.
        allow_unterminated: whether the last line may end with the stream instead of a
            line end. If not, it is a `TruncatedError`: it may be half a line.
        max_bytes: the longest line, encoded, without its line end, in either direction.

    Raises:
        ValueError: the encoding is unknown, or not one of lines of bytes; or another
            argument makes no sense.

    Example::

        assert Lines().encode("grüße") == b"gr\xc3\xbc\xc3\x9fe\n"
        assert Lines("latin-1", newline="\r\n").encode("grüße") == b"gr\xfc\xdfe\r\n"
    """

    encoding: str = attrs.field(default="utf-8", validator=_has_lines)
    newline: Literal["\n", "\r\n"] = attrs.field(
        default="\n", validator=one_of("\n", "\r\n"), kw_only=True
    )
    allow_unterminated: bool = attrs.field(default=False, kw_only=True)
    max_bytes: int = attrs.field(
        default=DEFAULT_MAX_LINE_BYTES, validator=whole(1), kw_only=True
    )
    _line_end: bytes = attrs.field(init=False, repr=False, eq=False)
    _is_exact: bool = attrs.field(init=False, repr=False, eq=False)
    _window_bytes: int = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Find out once what each message needs."""
        # The way that attrs has for what follows from the options of a frozen class.
        object.__setattr__(self, "_line_end", self.newline.encode("ascii"))
        object.__setattr__(self, "_is_exact", self.encoding in EXACT_ENCODINGS)
        # No line in a piece of this size can be too long.
        object.__setattr__(self, "_window_bytes", min(BATCH_BYTES, self.max_bytes + 1))

    def encode(self, message: str, /) -> bytes:
        r"""Encode the text, and put a line end behind it.

        Raises:
            TypeError: it is no text.
            MessageTooLargeError: over ``max_bytes``.
            EncodeError: the text contains ``\n`` or ends in ``\r``, or cannot be
                written in ``encoding`` or would arrive as something else.
        """
        try:
            line = message.encode(self.encoding)
        except UnicodeError as error:
            raise EncodeError(f"this line cannot be encoded: {error}") from error
        except AttributeError:
            kind = type(message).__name__
            raise TypeError(f"a line must be of type str, not {kind}") from None
        if len(line) > self.max_bytes:
            raise MessageTooLargeError(len(line), self.max_bytes, "max_bytes")
        if LINE_FEED in line:
            raise EncodeError(r"a line cannot contain \n: it would arrive as two")
        if line[-1:] == b"\r":
            raise EncodeError(r"a line cannot end in \r: it would arrive without")
        if not self._is_exact:
            self._check_exact(message, line)
        return line + self._line_end

    def _check_exact(self, message: str, line: bytes) -> None:
        """Refuse text that the encoding changes."""
        try:
            received = line.decode(self.encoding)
        except UnicodeError as error:
            raise EncodeError(f"this line could not be decoded: {error}") from error
        if received != message:
            raise EncodeError(f"this line would arrive as {received!r}")

    def decode(self, buffer: Buffer, /) -> Decoding[str]:
        """Yield each line without its line end."""
        searched = 0
        while True:
            data, begin = buffer.data, buffer.cursor
            found = data.find(b"\n", begin + searched)
            while found >= 0:
                stop = max(found + 1, begin + SPLIT_BYTES)
                lines = bytes(data[begin:stop]).split(b"\n", BATCH_MESSAGES)
                del lines[-1]  # what is behind the last of these line ends
                for line in lines:
                    buffer.cursor = begin = begin + len(line) + 1
                    if line and line[-1] == CARRIAGE_RETURN:
                        line = line[:-1]  # noqa: PLW2901
                    yield self._text(line)
                found = data.find(b"\n", begin)
            searched = len(data) - begin
            self._check_unfinished(data, searched)
            if searched and buffer.ended and self.allow_unterminated:
                buffer.cursor = len(data)
                yield self._text(bytes(data[begin:]))
            yield NEED_MORE

    @property
    def decode_batch(self) -> DecodeBatch[str] | None:
        """A function that returns the lines that are whole: see `BatchCodec`.

        None for encodings where lines cannot be decoded together.
        """
        return self._decode_batch if self._is_exact else None

    def _decode_batch(self, data: bytes, start: int) -> tuple[list[str], int]:
        window = data[start : start + self._window_bytes]
        size = window.rfind(b"\n") + 1
        try:
            text = window[:size].decode(self.encoding)
        except UnicodeDecodeError as error:
            size = window.rfind(b"\n", 0, error.start) + 1
            text = window[:size].decode(self.encoding)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = text.split("\n", BATCH_MESSAGES)
        if lines.pop():  # more lines than that, behind these
            size -= len(window[:size].split(b"\n", BATCH_MESSAGES).pop())
        return lines, start + size

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each line: see `BatchCodec`."""
        while start := data.find(b"\n", start) + 1:
            yield start

    def _text(self, line: bytes) -> str:
        if len(line) > self.max_bytes:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")
        try:
            return line.decode(self.encoding)
        except UnicodeError as error:
            raise MalformedMessageError(f"a line of bad text: {error}") from error

    def _check_unfinished(self, data: bytes | bytearray, size: int) -> None:
        """Refuse a line that is too long, whatever comes next."""
        may_be_line_end = size > 0 and data[-1] == CARRIAGE_RETURN
        if size - may_be_line_end > self.max_bytes:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")
