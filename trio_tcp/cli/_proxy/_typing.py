"""Lines that are typed, on a terminal or into a pipe."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Final, final

import trio

__all__ = ["TypedLine", "each_key", "is_in_foreground", "read_stdin"]

MAX_LINE_CHARACTERS: Final = 4096
"""As the line discipline of Linux's terminals has it (N_TTY_BUF_SIZE)."""

RUB_OUT: Final = "\x7f\b"
KILL: Final = "\x15"  # Ctrl-U
END: Final = "\x04"  # Ctrl-D
ESCAPE: Final = "\x1b"


@final
class TypedLine:
    """The line that is being typed.

    Attributes:
        text: what there is of it.
    """

    def __init__(self) -> None:
        self.text: str = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_in_escape = False

    def feed(self, typed: bytes) -> Iterator[str]:
        """Take what was typed, and give each line that is finished.

        Ctrl-D in an empty line is the line ``quit``.
        """
        for char in self._decoder.decode(typed):
            if self._is_in_escape:  # a key such as an arrow: ESC [ … letter
                self._is_in_escape = not (char.isalpha() or char == "~")
            elif char == ESCAPE:
                self._is_in_escape = True
            elif char in "\r\n":
                line, self.text = self.text, ""
                yield line
            elif char == END and not self.text:
                yield "quit"
            else:
                self._edit(char)

    def _edit(self, char: str) -> None:
        if char in RUB_OUT:
            self.text = self.text[:-1]
        elif char == KILL:
            self.text = ""
        elif char.isprintable() or char == "\t":
            self.text = (self.text + char)[:MAX_LINE_CHARACTERS]


async def read_stdin(take: Callable[[bytes], None]) -> None:
    """Give what is typed to a function, until the end of the input.

    Cancellation:
        Leaves unread what was not read.
    """
    try:
        number = sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):  # closed, or replaced
        await trio.lowlevel.checkpoint()
        return
    if not is_in_foreground():
        await trio.lowlevel.checkpoint()
        return
    while True:
        try:
            await trio.lowlevel.wait_readable(number)
        except OSError:  # a file is always readable, and epoll does not take it
            await trio.lowlevel.checkpoint()
        try:
            typed = os.read(number, 4096)
        except OSError:  # this terminal has others now
            return
        if not typed:
            return
        take(typed)


def is_in_foreground() -> bool:
    """Say whether what is typed on the terminal, if there is one, is for this process.

    A job in the background that asks for it is stopped (SIGTTIN, SIGTTOU; termios(3)).
    """
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, ValueError, OSError):  # no terminal, or not its session's
        return True


@contextmanager
def each_key() -> Generator[None, None, None]:
    """Have the terminal give each key at once, and show none, within a block."""
    import termios  # noqa: PLC0415 - not on every system
    import tty  # noqa: PLC0415 - likewise

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
