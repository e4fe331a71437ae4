r"""Requests of RESP, the protocol of Redis: a list of byte strings, or a line by hand.

A program sends ``*2\r\n$3\r\nGET\r\n$6\r\ncolour\r\n``; somebody with netcat types
``GET colour``. See https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import Final, TypeAlias, TypeVar, final

import attrs

from trio_tcp import FrameTooLargeError, InvalidFrameError, MessageTooLargeError, codecs

Message = TypeVar("Message")

Request: TypeAlias = list[bytes]
"""The name of a command, and its arguments."""

CRLF: Final = b"\r\n"
MAX_BYTES: Final = 1 << 20
"""1 MiB, the default of this package; that of Redis is 512 MiB for each argument."""

MAX_HEADER_BYTES: Final = 20
"""More than enough for the digits of any count and size."""

MAX_LINE_BYTES: Final = 64 << 10
"""For requests by hand, as in Redis (PROTO_INLINE_MAX_SIZE)."""

LEAST_ARGUMENT: Final = len(b"$0\r\n\r\n")
ARRAY: Final = ord("*")
LENGTH: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)")
WORD: Final = re.compile(rb"""\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))(?=\s|\Z)\s*""")

# What nearly all headers say, read beforehand: to look one up is faster than int().
COUNTS: Final = {b"*%d" % count: count for count in range(1, 65)}
SIZES: Final = {b"$%d" % size: size for size in range(codecs.BATCH_BYTES)}


@final
@attrs.frozen(kw_only=True)
class Requests:
    """The codec of requests; it reads those by hand too, and never sends one.

    Blank lines and empty lists are passed over, as Redis does.

    Args:
        max_bytes: the largest request with all that is around its arguments, in either
            direction.
    """

    max_bytes: int = attrs.field(default=MAX_BYTES, validator=attrs.validators.ge(64))

    def encode(self, message: Request, /) -> bytes:
        """Write a list of byte strings.

        Raises:
            MessageTooLargeError: over ``max_bytes``.
        """
        parts = [b"*%d\r\n" % len(message)]
        for argument in message:
            parts += (b"$%d\r\n" % len(argument), argument, CRLF)
        size = sum(map(len, parts))
        if size > self.max_bytes:
            raise MessageTooLargeError(size, self.max_bytes, "max_bytes")
        return b"".join(parts)

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[Request]:
        """Yield each request.

        Raises:
            FrameTooLargeError: over ``max_bytes``.
            InvalidFrameError: what else Redis calls a protocol error, in its words.
        """
        while True:
            while len(buffer.data) == buffer.cursor:
                yield codecs.NEED_MORE
            if buffer.data[buffer.cursor] == ARRAY:
                request = yield from self._array(buffer)
            else:
                request = yield from self._line(buffer)
            if request:
                yield request
            else:
                # The next one begins here: nothing is kept of what was none.
                buffer.skip(0)

    def _array(
        self, buffer: codecs.Buffer
    ) -> Generator[codecs.NeedMore, None, Request]:
        count = yield from self._length(buffer, b"*", "invalid multibulk length")
        self._check_room(buffer, count * LEAST_ARGUMENT)
        request: Request = []
        for _ in range(count):
            size = yield from self._length(buffer, b"$", "invalid bulk length")
            if size < 0:
                raise InvalidFrameError("invalid bulk length")
            self._check_room(buffer, size + len(CRLF))
            argument = yield from buffer.exactly(size + len(CRLF))
            if not argument.endswith(CRLF):
                raise InvalidFrameError("invalid bulk length")
            request.append(argument[:size])
        return request

    def _length(
        self, buffer: codecs.Buffer, mark: bytes, problem: str
    ) -> Generator[codecs.NeedMore, None, int]:
        try:
            header = yield from buffer.until(CRLF, max_bytes=MAX_HEADER_BYTES)
        except FrameTooLargeError:
            raise InvalidFrameError(problem) from None
        if header[:1] != mark:
            raise InvalidFrameError(
                f"expected '{mark.decode()}', got {header[:1].decode('latin-1')!a}"
            )
        if not LENGTH.fullmatch(header, 1):
            raise InvalidFrameError(problem)
        return int(header[1:])

    def _check_room(self, buffer: codecs.Buffer, size: int) -> None:
        if buffer.cursor - buffer.start + size > self.max_bytes:
            raise FrameTooLargeError(None, self.max_bytes, "max_bytes")

    def _line(self, buffer: codecs.Buffer) -> Generator[codecs.NeedMore, None, Request]:
        longest = min(MAX_LINE_BYTES, self.max_bytes) - 1
        try:
            line = yield from buffer.until(b"\n", max_bytes=longest)
        except FrameTooLargeError:
            raise InvalidFrameError("too big inline request") from None
        return _words(line.strip())

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[Request], int]:
        """Return the requests that are whole: see `codecs.BatchCodec`.

        To split at each line end finds arguments and headers alike, in one call, and
        what the headers say is compared with what was found: an argument with a line
        end in it is left to `decode`.
        """
        if not data.startswith(b"*", start):
            return [], start
        # No request in a piece of this size can be too large.
        window = data[start : start + min(codecs.BATCH_BYTES, self.max_bytes)]
        parts = window.split(CRLF)
        unfinished = len(parts) - 1
        requests: list[Request] = []
        at = 0
        while count := COUNTS.get(parts[at]):
            end = at + 1 + 2 * count
            request = parts[at + 2 : end : 2]
            if end > unfinished or not _fit(parts[at + 1 : end : 2], request):
                break
            requests.append(request)
            at = end
        return requests, start + sum(map(len, parts[:at])) + at * len(CRLF)

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each request: see `codecs.BatchCodec`."""
        return ends(self.decode, data, start)


def _fit(headers: list[bytes], arguments: list[bytes]) -> bool:
    """Say whether each argument is as long as its header says."""
    return list(map(SIZES.get, headers)) == list(map(len, arguments))


def _words(line: bytes) -> Request:
    """Divide a line at its blanks; quotes, of either kind, hold words together."""
    words: Request = []
    at = 0
    while at < len(line):
        found = WORD.match(line, at)
        if not found:
            raise InvalidFrameError("unbalanced quotes in request")
        words.append(found[found.lastindex or 0])
        at = found.end()
    return words


def ends(
    decode: Callable[[codecs.Buffer], codecs.Decoding[Message]], data: bytes, start: int
) -> Iterator[int]:
    """Yield the index behind each message, as `decode` finds it."""
    buffer = codecs.Buffer(data)
    buffer.start = buffer.cursor = start
    for message in decode(buffer):
        if message is codecs.NEED_MORE:
            return
        buffer.start = buffer.cursor
        yield buffer.start
