"""Standard input and output without a thread, and without changing them.

`trio.lowlevel.FdStream` makes a descriptor non-blocking, and with it that of the shell,
which shares it. Here a descriptor stays as it is: it is waited for, and then takes, or
has, something without blocking. Files are always ready, and cannot be waited for.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Final, final

import trio

__all__ = ["LineReader", "write_all"]

CHUNK: Final = 1 << 16

PIPE_BUF: Final = 4096
"""Bytes that a pipe has room for once it can be written to (pipe(7), select(2))."""

MAX_LINE: Final = 64 << 20
"""Bytes: four times the largest message that a codec takes unless it is told to."""


@final
class LineReader:
    r"""The lines of a pipe, a file, or a terminal, without their ends: ``async for``.

    The last one may have no end. A ``\n`` ends a line, and a ``\r`` before it.

    Args:
        descriptor: to read from; it stays open.

    Raises:
        ValueError: a line is no UTF-8, or too long.

    Cancellation:
        Loses nothing.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._whole: deque[bytes] = deque()
        self._pieces: list[bytes] = []  # of the line that has no end yet
        self._ended = False

    def __aiter__(self) -> LineReader:
        return self

    async def __anext__(self) -> str:
        """Wait for the next line."""
        while not self._whole:
            if self._ended:
                raise StopAsyncIteration
            self._take(await _read(self._descriptor))
        return _text(self._whole.popleft())

    def _take(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self._pieces.append(first)
        if sum(map(len, self._pieces)) > MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE} bytes")
        self._ended = not chunk
        if others or self._ended:
            line = b"".join(self._pieces)
            self._whole.extend((line, *others[:-1]) if others or line else ())
            self._pieces = others[-1:]


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"a line is no UTF-8 ({error.reason})") from error


async def _read(descriptor: int) -> bytes:
    await trio.lowlevel.checkpoint()
    with suppress(PermissionError):  # a file: epoll_ctl(2)
        await trio.lowlevel.wait_readable(descriptor)
    try:
        return os.read(descriptor, CHUNK)
    except OSError:  # a terminal that has gone
        return b""


async def write_all(descriptor: int, data: bytes) -> None:
    """Write to a pipe, a file, or a terminal, as fast as it takes it.

    Raises:
        BrokenPipeError: nobody reads it any more.

    Cancellation:
        Some of it may have been written.
    """
    rest = memoryview(data)
    await trio.lowlevel.checkpoint()
    while rest:
        with suppress(PermissionError):
            await trio.lowlevel.wait_writable(descriptor)
        rest = rest[os.write(descriptor, rest[:PIPE_BUF]) :]
