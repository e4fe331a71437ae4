"""Standard input and output without a thread, and without changing them.

`trio.lowlevel.FdStream` makes a descriptor non-blocking, and with it that of the shell,
which shares it. Here a descriptor stays as it is: it is waited for, and then takes, or
has, something without blocking. Files are always ready, and cannot be waited for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import trio

__all__ = ["read_lines", "write_all"]

CHUNK: Final = 1 << 16

PIPE_BUF: Final = 4096
"""Bytes that a pipe has room for once it can be written to (pipe(7), select(2))."""

MAX_LINE: Final = 64 << 20
"""Bytes: four times the largest message that a codec takes unless it is told to."""


async def read_lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of a pipe, a file, or a terminal, without their ends.

    The last one may have none. Only ``\\n`` ends a line, and a ``\\r`` before it.

    Raises:
        ValueError: a line is no UTF-8, or too long.
    """
    pieces: list[bytes] = []
    size = 0
    while chunk := await _read(descriptor):
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        size += len(first)
        if size > MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE} bytes")
        for line in others:
            yield _text(b"".join(pieces))
            pieces, size = [line], len(line)
    if size:
        yield _text(b"".join(pieces))


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
