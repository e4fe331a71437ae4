r"""Replies of RESP: ``+OK``, ``:42``, ``$5 hello``, lists of these, and errors.

There are two versions. A client that says nothing gets the second; one that says
``HELLO 3`` gets the third, where what is absent and what is a map have marks of their
own. The many other types of the third are for commands that are not here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Iterator
from typing import Final, Literal, TypeAlias, cast, final

import attrs

from examples.key_value.resp_requests import CRLF, MAX_BYTES, SIZES, ends
from trio_tcp import (
    EncodeError,
    FrameTooLargeError,
    InvalidFrameError,
    MessageTooLargeError,
    codecs,
)


@final
@attrs.frozen
class Error:
    """A reply that says why there is no other. Its text begins with a code: ``ERR``."""

    text: str


class Nil(enum.Enum):
    """The type of `NIL`."""

    NIL = "nil"


NIL: Final = Nil.NIL
"""The reply that there is nothing. (None, to `trio_tcp.respond`, is no reply.)"""

Version: TypeAlias = Literal["RESP2", "RESP3"]
Reply: TypeAlias = "bytes | str | int | Error | Nil | list[Reply] | dict[bytes, Reply]"
"""A `str` is a short text of one line, such as "OK"; `bytes` can be anything."""

LEAST_REPLY: Final = len(b"+\r\n")
MAX_DEPTH: Final = 8
"""How deep lists in lists may go; that of a Redis command is 4 or so."""

INTEGER: Final = re.compile(rb"[+-]?[0-9]{1,19}")
MAX_QUICK_DIGITS: Final = 19  # with fewer, a number has less than 64 bits
SIGNED_64: Final = range(-(1 << 63), 1 << 63)

Decoded: TypeAlias = Generator[codecs.NeedMore, None, Reply]


@final
@attrs.frozen(kw_only=True)
class Replies:
    """The codec of replies.

    Args:
        max_bytes: the largest reply, in either direction.
        version: of RESP, for what is sent; what is received may be of either.
    """

    max_bytes: int = attrs.field(default=MAX_BYTES, validator=attrs.validators.ge(64))
    version: Version = attrs.field(
        default="RESP2", validator=attrs.validators.in_(["RESP2", "RESP3"])
    )

    def encode(self, message: Reply, /) -> bytes:
        """Write a reply.

        Raises:
            MessageTooLargeError: over ``max_bytes``; it has not been put together.
            EncodeError: a `str` or the text of an error that is no line of text, a
                number of more than 64 bits, or too many lists in each other.
        """
        if not isinstance(message, (list, dict)):
            frame = self._scalar(message)
            self._check_size(len(frame))
            return frame
        size = 0
        parts: list[bytes] = []
        for part in self._parts(message, MAX_DEPTH):
            size += len(part)
            self._check_size(size)
            parts.append(part)
        return b"".join(parts)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")

    def _parts(self, reply: Reply, depth: int) -> Iterator[bytes]:
        if not isinstance(reply, list | dict):
            yield self._scalar(reply)
            return
        if not depth:
            raise EncodeError(f"lists within lists, more than {MAX_DEPTH} deep")
        if isinstance(reply, dict) and self.version == "RESP3":
            yield b"%%%d\r\n" % len(reply)
        else:
            yield b"*%d\r\n" % (len(reply) * (1 + isinstance(reply, dict)))
        items = reply if isinstance(reply, list) else _flat(reply)
        for item in items:
            yield from self._parts(item, depth - 1)

    def _scalar(self, reply: bytes | str | int | Error | Nil) -> bytes:
        match reply:
            case bytes():
                return b"$%d\r\n%b\r\n" % (len(reply), reply)
            case str():
                return b"+%b\r\n" % _line(reply)
            case int():
                if reply not in SIGNED_64:
                    raise EncodeError(f"{reply} has more than 64 bits")
                return b":%d\r\n" % reply
            case Error():
                return b"-%b\r\n" % _line(reply.text)
            case Nil():
                return b"_\r\n" if self.version == "RESP3" else b"$-1\r\n"

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[Reply]:
        """Yield each reply.

        Raises:
            FrameTooLargeError: over ``max_bytes``.
            InvalidFrameError: this is no reply, or of a type that is not known here.
        """
        while True:
            yield (yield from self._reply(buffer, MAX_DEPTH))

    def _reply(self, buffer: codecs.Buffer, depth: int) -> Decoded:
        line = yield from self._until_line_end(buffer)
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return _text(rest)
            case b"-":
                return Error(_text(rest))
            case b":":
                return _integer(rest)
            case b"$":
                return (yield from self._bytes(buffer, _integer(rest)))
            case b"*" | b"%":
                return (yield from self._items(buffer, kind, _integer(rest), depth))
            case b"_" if not rest:
                return NIL
            case _:
                raise InvalidFrameError(f"a reply does not begin with {kind!r}")

    def _bytes(self, buffer: codecs.Buffer, size: int) -> Decoded:
        if size == -1:
            return NIL
        if size < 0:
            raise InvalidFrameError(f"a reply of {size} bytes")
        self._check_room(buffer, size + len(CRLF))
        data = yield from buffer.exactly(size + len(CRLF))
        if not data.endswith(CRLF):
            raise InvalidFrameError("no line end where a reply says that it ends")
        return data[:size]

    def _items(
        self, buffer: codecs.Buffer, kind: bytes, count: int, depth: int
    ) -> Decoded:
        if kind == b"*" and count == -1:
            return NIL
        if count < 0:
            raise InvalidFrameError(f"a list of {count} replies")
        if not depth:
            raise InvalidFrameError(f"lists within lists, more than {MAX_DEPTH} deep")
        if kind == b"%":
            count *= 2
        self._check_room(buffer, count * LEAST_REPLY)
        items: list[Reply] = []
        while len(items) < count:
            items.append((yield from self._reply(buffer, depth - 1)))
        return _map(items) if kind == b"%" else items

    def _until_line_end(
        self, buffer: codecs.Buffer
    ) -> Generator[codecs.NeedMore, None, bytes]:
        self._check_room(buffer, len(CRLF))
        room = self.max_bytes - (buffer.cursor - buffer.start) - len(CRLF)
        try:
            return (yield from buffer.until(CRLF, max_bytes=room))
        except FrameTooLargeError:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes") from None

    def _check_room(self, buffer: codecs.Buffer, size: int) -> None:
        if buffer.cursor - buffer.start + size > self.max_bytes:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[Reply], int]:
        """Return the replies that are whole: see `codecs.BatchCodec`.

        Lists, and what has a line end in it, are left to `decode`.
        """
        window = data[start : start + min(codecs.BATCH_BYTES, self.max_bytes)]
        parts = window.split(CRLF)
        unfinished = len(parts) - 1
        replies: list[Reply] = []
        at = 0
        while at < unfinished:
            size = SIZES.get(parts[at])
            if size is None:
                if (reply := _in_one_line(parts[at])) is None:
                    break
                replies.append(reply)
                at += 1
            elif at + 1 < unfinished and len(parts[at + 1]) == size:
                replies.append(parts[at + 1])
                at += 2
            else:
                break
        return replies, start + sum(map(len, parts[:at])) + at * len(CRLF)

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each reply: see `codecs.BatchCodec`."""
        return ends(self.decode, data, start)


def _in_one_line(line: bytes) -> Reply | None:
    """Return the reply that is in this line and sure to be good; None for others."""
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return _text(rest)
        case b"-":
            return Error(_text(rest))
        case b":" if rest.isdigit() and len(rest) < MAX_QUICK_DIGITS:
            return int(rest)
        case b"$" if rest == b"-1":
            return NIL
        case _:
            return None


# What is no text in UTF-8 arrives as it was sent: nothing promises that it is.


def _line(text: str) -> bytes:
    if "\r" in text or "\n" in text:
        raise EncodeError(f"a line end in {text!r}")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise EncodeError(f"{text!r} is no text") from error


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _integer(digits: bytes) -> int:
    if not INTEGER.fullmatch(digits) or (number := int(digits)) not in SIGNED_64:
        raise InvalidFrameError(f"no number: {digits[:30]!r}")
    return number


def _flat(mapping: dict[bytes, Reply]) -> Iterator[Reply]:
    for key, value in mapping.items():
        yield key
        yield value


def _map(items: list[Reply]) -> dict[bytes, Reply]:
    keys = items[::2]
    if not all(isinstance(key, bytes) for key in keys):
        raise InvalidFrameError("a map whose keys are no strings")
    return dict(zip(cast("list[bytes]", keys), items[1::2], strict=True))
