"""A line that is being typed at the bottom of the terminal, and everything above it.

prompt-toolkit knows how to edit a line. It runs on asyncio; so here Trio runs as a
guest of asyncio, in the same thread, and neither waits for the other. What is shown is
drawn at once; what is typed comes to Trio through a channel.

https://trio.readthedocs.io/en/stable/reference-lowlevel.html#guest-mode
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias, final

import trio
from outcome import Outcome
from prompt_toolkit import PromptSession
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import default_ui_style
from prompt_toolkit.utils import get_term_environment_variable

__all__ = ["Fragment", "Terminal", "run_with_terminal"]

Fragment: TypeAlias = tuple[str, str]
"""A style of prompt-toolkit, and the text that it is for."""


def run_with_terminal(main: Callable[[Terminal], Awaitable[int]]) -> int:
    """Run a Trio program that has the terminal; then leave that as it was.

    Args:
        main: the program.

    Returns:
        What it returns.

    Raises:
        BaseException: what it raises.
    """
    return asyncio.run(_be_host(main))


async def _be_host(main: Callable[[Terminal], Awaitable[int]]) -> int:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Outcome[int]] = loop.create_future()
    prompting: list[asyncio.Task[None]] = []

    async def guest() -> int:
        terminal = Terminal(trio.lowlevel.current_trio_token())
        prompting.append(loop.create_task(terminal.prompt()))
        return await main(terminal)

    trio.lowlevel.start_guest_run(
        guest,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=done.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    outcome = await done
    for task in prompting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return outcome.unwrap()


@final
class Terminal:
    """The terminal of this process. Made by `run_with_terminal`.

    Attributes:
        lines: what is typed. It ends with Ctrl-D or Ctrl-C.
        label: stands before the line that is being typed.
    """

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        # What somebody types, or pastes, is in memory anyway.
        self._typed, self.lines = trio.open_memory_channel[str](float("inf"))
        self.label = ""
        output = Vt100_Output.from_pty(sys.stdout, term=get_term_environment_variable())
        # The answer to where the cursor is would come when it is elsewhere already.
        output.enable_cpr = False
        self._session: PromptSession[str] = PromptSession(
            lambda: f"{self.label}> ", output=output, erase_when_done=True
        )

    def show(self, line: Sequence[Fragment]) -> None:
        """Print a line above the one that is being typed."""
        app = self._session.app
        if app.is_running:
            app.renderer.erase()
        # It replaces what would command the terminal.
        print_formatted_text(app.output, [*line, ("", "\n")], default_ui_style())
        if app.is_running:
            app.invalidate()

    async def prompt(self) -> None:
        """Have lines typed, one after the other. To be run by asyncio."""
        # Between two prompts, too: else what is typed there would be echoed.
        with self._session.input.raw_mode(), suppress(EOFError, KeyboardInterrupt):
            while True:
                line = await self._session.prompt_async(handle_sigint=False)
                self._token.run_sync_soon(self._typed.send_nowait, line)
        self._token.run_sync_soon(self._typed.close)
