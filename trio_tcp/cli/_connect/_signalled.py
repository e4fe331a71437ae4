"""A program that a signal ends in order, with the terminal as it was before."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from trio_tcp._nursery import open_quiet_nursery

__all__ = ["KILLED", "run_until_signalled"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

KILLED: Final = 128
"""A shell's exit code for a program that a signal has ended is this and its number."""


async def run_until_signalled(
    run: Callable[[], Awaitable[int]], tell: Callable[[str], None]
) -> int:
    """Run something, and cancel it at the first signal. The second kills.

    Args:
        run: what is to be run.
        tell: shows a line: which signal it was.

    Returns:
        What it returns, or what a shell makes of the signal.
    """
    number = code = 0
    async with open_quiet_nursery() as nursery:

        async def watch() -> None:
            nonlocal number
            with trio.open_signal_receiver(*SIGNALS) as signals:
                number = await anext(signals)
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        code = await run()
        nursery.cancel_scope.cancel()
    if number:
        code = KILLED + number
        tell(f"ended by {signal.Signals(number).name}; exit code {code}")
    return code
