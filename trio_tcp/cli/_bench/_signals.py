"""A run that a signal ends early, with what was measured so far."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
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


def run_until_signalled(
    runner: Runner, on_progress: Callable[[Result], None]
) -> Result:
    """Run it; SIGINT or SIGTERM stops it, and a second one kills this process.

    Args:
        runner: what to run.
        on_progress: gets what was measured so far, now and then.
    """
    outcome = trio.run(_run, runner, on_progress)
    if isinstance(outcome, Result):
        return outcome
    signal.signal(outcome, signal.SIG_DFL)
    os.kill(os.getpid(), outcome)
    raise AssertionError("unreachable")


async def _run(
    runner: Runner, on_progress: Callable[[Result], None]
) -> Result | signal.Signals:
    """Return the result, or the second signal."""
    outcomes: list[Result | signal.Signals] = []
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_quiet_nursery() as nursery:

            async def heed() -> None:
                await anext(signals)
                runner.stop()
                outcomes.append(signal.Signals(await anext(signals)))
                nursery.cancel_scope.cancel()

            nursery.start_soon(heed)
            outcomes.append(await runner.run(on_progress))
            nursery.cancel_scope.cancel()
    return outcomes[0]
