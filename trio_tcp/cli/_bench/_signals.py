"""A run that a signal ends early, with what was measured so far."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import trio

from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._bench._result import Result

__all__ = ["Runner", "run_until_signalled"]


class Runner(Protocol):
    """What can be run, and told to come to its end."""

    async def run(self, on_progress: Callable[[Result], None]) -> Result:
        """Run to the end."""
        ...

    def stop(self) -> None:
        """End soon."""
        ...


class _KilledError(Exception):
    """A second signal has come; its number is the argument."""


def run_until_signalled(
    runner: Runner, on_progress: Callable[[Result], None]
) -> Result:
    """Run it; SIGINT or SIGTERM stops it, and a second one kills this process.

    Args:
        runner: what to run.
        on_progress: gets what was measured so far, now and then.
    """
    try:
        return trio.run(_run, runner, on_progress)
    except _KilledError as killed:
        [number] = killed.args
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        raise AssertionError("unreachable") from None


async def _run(runner: Runner, on_progress: Callable[[Result], None]) -> Result:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(_heed, signals, runner)
            result = await runner.run(on_progress)
            nursery.cancel_scope.cancel()
    return result


async def _heed(signals: AsyncIterator[int], runner: Runner) -> None:
    await anext(signals)
    runner.stop()
    raise _KilledError(await anext(signals))
