"""A terminal without a terminal: keys through a pipe, and a screen that can be read."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from trio_tcp.cli._connect._commands import COMMAND_NAMES
from trio_tcp.cli._connect._terminal import Terminal, open_terminal

ENTER, CTRL_C, CTRL_D, TAB = "\r", "\x03", "\x04", "\t"

CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Screen:
    """What a terminal shows, as text; and its keyboard.

    Attributes:
        drawn: all that was written to it, with what controls it.
    """

    encoding = "utf-8"

    def __init__(self, keyboard: PipeInput) -> None:
        self.drawn = ""
        self._keyboard = keyboard
        self._token = trio.lowlevel.current_trio_token()
        self._news = trio.Event()

    def types(self, keys: str) -> None:
        """Type something."""
        self._keyboard.send_text(keys)

    def hangs_up(self) -> None:
        """End the input, as a terminal that is closed does."""
        self._keyboard.close()

    @property
    def text(self) -> str:
        """What was written to it, without what controls it."""
        return CONTROL.sub("", self.drawn)

    async def shows(self, pattern: str) -> None:
        """Wait until something is there."""
        with trio.fail_after(15):
            while not re.search(pattern, self.text, re.MULTILINE):
                await self._news.wait()

    # As a file of prompt-toolkit, in its thread

    def write(self, text: str) -> None:
        """Take what is drawn."""
        self.drawn += text

    def flush(self) -> None:
        """Tell who waits."""
        self._token.run_sync_soon(self._tell)

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def open_screen() -> AsyncGenerator[tuple[Terminal, Screen], None]:
    """Open a terminal on such a screen."""
    with create_pipe_input() as keyboard:
        screen = Screen(keyboard)
        output = Vt100_Output(
            screen,  # type: ignore[arg-type] # all of a file that it uses
            lambda: Size(rows=24, columns=80),
            term="xterm",
            enable_cpr=False,
        )
        async with open_terminal(
            InMemoryHistory(),
            COMMAND_NAMES,
            terminal_input=keyboard,
            terminal_output=output,
        ) as terminal:
            yield terminal, screen
