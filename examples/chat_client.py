"""A chat client for the terminal; it talks to chat_server.py.

    python examples/chat_client.py [--host HOST] [--port PORT] [NAME]

What others say appears above the line that you are typing. Ctrl-D says goodbye and
waits for the server's last words, Ctrl-C leaves at once. Input can also come from a
pipe or a file. (POSIX only, for the sake of the terminal.)
"""

import argparse
import math
import os
import re
import shutil
import signal
import sys
import termios
import tty
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress

import trio

import trio_tcp
from trio_tcp import codecs

PROMPT = "> "
ERASE_LINE = "\r\x1b[K"
FUNCTION_KEY = re.compile(r"\x1b(\[[\d;]*.|O.|.)?")
MAX_TEXT = 1000  # what the server keeps of a line
LAST_WORDS_SECONDS = 5


def edit(typed: str, key: str) -> str:
    """Change a line as a key says."""
    match key:
        case "\x7f" | "\b":  # Backspace
            return typed[:-1]
        case "\x15":  # Ctrl-U
            return ""
        case "\x17":  # Ctrl-W
            return re.sub(r"\S*\s*$", "", typed)
        case _:
            return typed + key if key.isprintable() else typed


class Terminal:
    """A line that is being typed at the bottom of the screen, and all else above it.

    It takes key by key, since a terminal that edits the line by itself does not tell
    what is in it before Enter, and it could not be drawn again below what others say.

    Attributes:
        at_end: there is no more to read: Ctrl-D, or the end of a pipe.
    """

    def __init__(self) -> None:
        self._is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._typed = ""
        self.at_end = False

    @contextmanager
    def opened(self) -> Generator[None]:
        """Get keys instead of lines from the terminal, for the length of a block."""
        if not self._is_interactive:
            yield
            return
        before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)  # Ctrl-C is a signal as ever
        try:
            self._draw()
            yield
        finally:
            print(end=ERASE_LINE, flush=True)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    async def read_lines(self) -> list[str]:
        """Wait for keys, and return the lines that they have finished.

        A thread in `sys.stdin.readline` cannot be cancelled: it would hold up the end
        of the program until the next Enter. `trio.lowlevel.FdStream` makes the terminal
        non-blocking, which its other users, `print` and the shell, do not expect. But
        waiting until there is something to read can be cancelled, and a read is
        certain not to block after that.
        """
        with suppress(PermissionError):  # a file: epoll(7) sees no sense in waiting
            await trio.lowlevel.wait_readable(sys.stdin)
        data = os.read(sys.stdin.fileno(), 4096)
        keys = FUNCTION_KEY.sub("", self._decoder.decode(data))
        lines = [line for key in keys if (line := self._press(key)) is not None]
        if not data:
            self.at_end = True
            lines.append(self._typed)  # a file may end without a line end
        self._draw()
        return lines

    def _press(self, key: str) -> str | None:
        """Do what a key says; return the line if it has finished it."""
        if key in "\r\n":
            line, self._typed = self._typed, ""
            if self._is_interactive:
                self.show(PROMPT + line)
            return line
        if key == "\x04" and not self._typed:  # Ctrl-D
            self.at_end = True
        self._typed = edit(self._typed, key)
        return None

    def show(self, line: str) -> None:
        """Print a line above the one that is being typed.

        Not what it may hold beside text: a server must not get at the terminal.
        """
        line = "".join(filter(str.isprintable, line))
        print(f"{ERASE_LINE if self._is_interactive else ''}{line}", flush=True)
        self._draw()

    def _draw(self) -> None:
        if self._is_interactive:
            # The end of a long line: one that takes two rows could not be erased.
            room = shutil.get_terminal_size().columns - len(PROMPT) - 1
            print(end=f"{ERASE_LINE}{PROMPT}{self._typed[-room:]}", flush=True)


async def leave_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    """End the conversation in order on Ctrl-C, not in the middle of anything."""
    async for _ in signals:
        scope.cancel()


async def speak(
    connection: trio_tcp.Connection[str, str],
    terminal: Terminal,
    scope: trio.CancelScope,
) -> None:
    """Send what is typed; at its end, say that nothing more follows."""
    try:
        while not terminal.at_end:
            for line in await terminal.read_lines():
                if line:
                    await connection.send(line[:MAX_TEXT])
        # A half-close: what the server still has to say arrives, then it closes too.
        await connection.send_eof()
        scope.deadline = trio.current_time() + LAST_WORDS_SECONDS
    except trio.BrokenResourceError:
        pass  # listening meets the same


async def listen(connection: trio_tcp.Connection[str, str], terminal: Terminal) -> None:
    """Show what the server sends, until it closes."""
    try:
        async for line in connection:
            terminal.show(line)
    except trio.BrokenResourceError as error:
        terminal.show(f"* {error}")


async def converse(
    connection: trio_tcp.Connection[str, str], terminal: Terminal
) -> None:
    """Talk until one side has had enough."""
    leaving = trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM)
    with leaving as signals, terminal.opened():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave_on_signal, signals, nursery.cancel_scope)
            nursery.start_soon(speak, connection, terminal, nursery.cancel_scope)
            await listen(connection, terminal)
            nursery.cancel_scope.cancel()


async def chat(host: str, port: int, name: str | None) -> None:
    """Connect, and talk."""
    try:
        async with trio_tcp.connect_tcp(
            host,
            port,
            codec=codecs.Lines(),
            # A room may be quiet; but a prompt that waits looks stuck.
            timeouts=trio_tcp.Timeouts(idle=math.inf, linger=1),
        ) as connection:
            if name:
                await connection.send(name)
            await converse(connection, Terminal())
            print("* disconnected")
    except trio_tcp.TrioTcpError as error:
        sys.exit(f"chat_client: {error}")


def main() -> None:
    """Join a chat."""
    parser = argparse.ArgumentParser(description="Chat from the terminal.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("name", metavar="NAME", nargs="?", help="how you are called")
    args = parser.parse_args()
    try:
        trio.run(chat, args.host, args.port, args.name)
    except* KeyboardInterrupt:  # while it was still connecting
        pass


if __name__ == "__main__":
    main()
