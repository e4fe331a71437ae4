"""A run of several processes: this command again, each with a share of the load.

A child prints, as JSON, a line with its result so far about twice a second, and a last
one at its end. Whoever stops reading ends it thereby.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import attrs
import trio

from trio_tcp.cli._bench._plan import Plan
from trio_tcp.cli._bench._result import Result, from_json, merged, to_json

__all__ = ["ChildError", "Children", "report", "report_failure", "share_of"]

PROGRAM: Final = (sys.executable, "-m", "trio_tcp", "bench")


class ChildError(Exception):
    """A child could not do its share; the text says why."""


def share_of(plan: Plan, number: int, processes: int) -> Plan:
    """Return what one process does.

    The sum of Poisson processes is one; streams of uniform arrivals only begin at
    moments of their own, each process when it is ready.

    Args:
        plan: of all.
        number: of the process, from 0.
        processes: how many there are.
    """

    def part(count: float) -> float:
        whole, rest = divmod(count, processes)
        return whole + (number < rest)

    return attrs.evolve(
        plan,
        connections=int(part(plan.connections)),
        requests=plan.requests if plan.requests == math.inf else part(plan.requests),
        rate=None if plan.rate is None else plan.rate / processes,
        connect_rate=plan.connect_rate / processes,
        seed=plan.seed + number,
    )


def report(result: Result) -> None:
    """Tell the parent what was measured so far."""
    print(json.dumps(to_json(result)), flush=True)


def report_failure(error: Exception) -> None:
    """Tell the parent why there is nothing to tell."""
    print(json.dumps({"failure": str(error)}), flush=True)


@final
class Children:
    """The processes of a run.

    Args:
        arguments: of this command.
        count: how many.
    """

    def __init__(self, arguments: Sequence[str], count: int) -> None:
        self._commands = [
            [*PROGRAM, *arguments, "--share", f"{number}/{count}"]
            for number in range(count)
        ]
        self._processes: list[trio.Process] = []
        self._latest: dict[int, Result] = {}
        self._failures: list[str] = []
        self._is_stopped = False

    async def run(self, on_progress: Callable[[Result], None]) -> Result:
        """Run all, and put together what they have measured.

        Raises:
            ChildError: one has failed.

        Cancellation:
            Kills them.
        """
        try:
            async with trio.open_nursery() as nursery:
                for number, command in enumerate(self._commands):
                    # A session of its own, as Ctrl-C is for this process to handle.
                    process = await trio.lowlevel.open_process(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        start_new_session=True,
                    )
                    self._processes.append(process)
                    nursery.start_soon(self._follow, number, process, on_progress)
                if self._is_stopped:
                    self.stop()
        finally:
            await self._kill()  # noqa: ASYNC102 - shielded, and what is killed ends
        if self._failures:
            raise ChildError(self._failures[0])
        if not self._latest:
            raise ChildError("interrupted before anything was measured")
        return merged(list(self._latest.values()))

    def stop(self) -> None:
        """Let them end now, with what they have measured."""
        self._is_stopped = True
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)

    async def _follow(
        self,
        number: int,
        process: trio.Process,
        on_progress: Callable[[Result], None],
    ) -> None:
        assert process.stdout is not None
        unread = b""
        async for chunk in process.stdout:
            *lines, unread = (unread + chunk).split(b"\n")
            for line in lines:
                self._take(number, json.loads(line))
            if len(self._latest) == len(self._commands):
                on_progress(merged(list(self._latest.values())))
        status = await process.wait()
        if number not in self._latest and not (self._failures or self._is_stopped):
            self._failures.append(f"a process ended with the status {status}")
        if self._failures:
            self.stop()

    def _take(self, number: int, news: dict[str, Any]) -> None:
        if "failure" in news:
            self._failures.append(news["failure"])
        else:
            self._latest[number] = from_json(news)

    async def _kill(self) -> None:
        with trio.CancelScope(shield=True):
            for process in self._processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()
                if process.stdout is not None:
                    await process.stdout.aclose()
