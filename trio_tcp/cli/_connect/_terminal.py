"""A line that is being typed, and everything else above it.

prompt-toolkit knows how to edit a line, and how to print above it without breaking it.
It runs on asyncio. So it gets a thread with an event loop of its own, for as long as
the terminal is needed: lines come out of it through `trio.lowlevel.TrioToken`, and what
is to be shown goes in through ``call_soon_threadsafe``. The two loops wait for each
other only one way: whoever shows something waits until it is shown, so a terminal that
does not keep up (Ctrl-S) stops the reading of messages, and nothing piles up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias, final

import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.application.current import get_app
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import default_ui_style
from prompt_toolkit.utils import get_term_environment_variable

from trio_tcp._nursery import open_quiet_nursery

__all__ = ["Fragments", "Terminal", "open_terminal"]

Fragments: TypeAlias = Sequence[tuple[str, str]]
"""Styles of prompt-toolkit, each with the text that it is for."""

PROMPT: Final = "> "
MENU_ROWS: Final = 4


@asynccontextmanager
async def open_terminal(
    history: History,
    commands: Sequence[str],
    *,
    terminal_input: Input | None = None,
    terminal_output: Output | None = None,
) -> AsyncGenerator[Terminal, None]:
    """Show a prompt until the end of the block, and then leave the terminal as it was.

    Args:
        history: lines that were typed before.
        commands: that are completed: whole lines, each with its slash.
        terminal_input: where keys come from; by default, standard input.
        terminal_output: where the prompt is drawn; by default, standard output.
    """
    terminal = Terminal(history, commands, trio.lowlevel.current_trio_token())
    async with open_quiet_nursery() as nursery:
        # The thread ends when it is told to, below, and not before it has cleaned up.
        nursery.start_soon(terminal.serve, terminal_input, terminal_output)  # noqa: ASYNC113 - `drawn` is waited for
        try:
            await terminal.drawn.wait()
            yield terminal
        finally:
            terminal.leave()


@final
class Terminal:
    """The terminal of this process. Made by `open_terminal`.

    Attributes:
        drawn: the prompt is about to be there.
    """

    def __init__(
        self, history: History, commands: Sequence[str], token: trio.lowlevel.TrioToken
    ) -> None:
        self.drawn = trio.Event()
        self._history = history
        self._commands = commands
        self._token = token
        # As long as what somebody types, or pastes, which is in memory anyway.
        self._send_line, self._lines = trio.open_memory_channel[str | None](
            float("inf")
        )
        self._showing: set[trio.Event] = set()
        self._is_leaving = False
        self._is_over = False
        self._loop: asyncio.AbstractEventLoop
        self._prompting: asyncio.Task[None]
        self._session: PromptSession[str]

    # On Trio's side

    async def read_line(self) -> str | None:
        """Wait for a line; None is Ctrl-D.

        Raises:
            trio.EndOfChannel: the terminal itself is gone.

        Cancellation:
            Loses nothing.
        """
        return await self._lines.receive()

    async def show(self, lines: Sequence[Fragments]) -> None:
        """Print lines above the one that is being typed; wait until that is done.

        Nothing happens if the terminal is gone.

        Cancellation:
            They are printed all the same.
        """
        fragments: StyleAndTextTuples = []
        for line in lines:
            fragments += [*line, ("", "\n")]
        done = trio.Event()
        if self._is_over:
            done.set()
        self._showing.add(done)
        try:
            self._call(self._print, fragments, done)
            await done.wait()
        finally:
            self._showing.discard(done)

    def leave(self) -> None:
        """Have the thread end, and the terminal be as it was."""
        self._is_leaving = True
        if self.drawn.is_set():
            self._call(self._prompting.cancel)

    async def serve(
        self, terminal_input: Input | None, terminal_output: Output | None
    ) -> None:
        """Run the thread until `leave`, or until the terminal is gone."""
        try:
            await trio.to_thread.run_sync(self._run, terminal_input, terminal_output)
        finally:
            self._is_over = True
            self._send_line.close()
            for done in self._showing:
                done.set()

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called in the thread, if it is still there."""
        with suppress(RuntimeError):  # its loop is closed: `serve` sees to the rest
            self._loop.call_soon_threadsafe(function, *arguments)

    def _begin(self) -> None:
        self.drawn.set()
        if self._is_leaving:
            self.leave()

    # In the thread of prompt-toolkit

    def _run(
        self, terminal_input: Input | None, terminal_output: Output | None
    ) -> None:
        output = terminal_output or _standard_output()
        with create_app_session(terminal_input, output):
            with suppress(OSError):  # the terminal is gone, and no more can be drawn
                asyncio.run(self._prompt())

    async def _prompt(self) -> None:
        session = self._session = self._new_session()
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._prompting = task
        self._token.run_sync_soon(self._begin)
        # Between two prompts, too, so that nothing typed is echoed into what is shown.
        with suppress(asyncio.CancelledError), session.input.raw_mode():
            while not session.input.closed:
                try:
                    line: str | None = await session.prompt_async(
                        PROMPT, handle_sigint=False, set_exception_handler=False
                    )
                except EOFError:
                    line = None
                if not session.input.closed:
                    self._token.run_sync_soon(self._send_line.send_nowait, line)

    def _new_session(self) -> PromptSession[str]:
        is_command = Condition(lambda: get_app().current_buffer.text.startswith("/"))
        return PromptSession(
            history=self._history,
            completer=WordCompleter(self._commands, sentence=True),
            complete_while_typing=is_command,
            reserve_space_for_menu=MENU_ROWS,
            key_bindings=_key_bindings(),
            # What was typed is shown again as what was sent.
            erase_when_done=True,
        )

    def _print(self, fragments: StyleAndTextTuples, done: trio.Event) -> None:
        # As run_in_terminal does it, but in raw mode: as nothing is read meanwhile,
        # there is no need for a mode in which the terminal itself echoes what is typed.
        app = self._session.app
        try:
            if app.is_running:
                app.renderer.erase()
            print_formatted_text(app.output, fragments, default_ui_style())
            if app.is_running:
                app.invalidate()
        finally:
            self._token.run_sync_soon(done.set)


def _standard_output() -> Output:
    output = Vt100_Output.from_pty(sys.stdout, term=get_term_environment_variable())
    # The terminal's answer to where the cursor is would come when messages have moved
    # it already, and lines that were shown would scroll away.
    output.enable_cpr = False
    return output


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-c")
    def _clear(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    return bindings
