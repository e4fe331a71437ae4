"""One worker as its supervisor sees it: a process, a control channel, and their end.

A worker is told to end by SIGTERM, which it can always take: while it still imports it
dies of it, later it drains. It is in a process group of its own, so that Ctrl-C in a
terminal reaches the supervisor alone. Whatever becomes of the task here, no process is
left behind.
"""

from __future__ import annotations

import itertools
import math
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final, final

import attrs
import trio

from trio_tcp._errors import ConnectionFault
from trio_tcp._events import DrainReport, Event, Observer, notify
from trio_tcp._nursery import ungrouped
from trio_tcp._requests import Requester
from trio_tcp._workers._control import (
    Answer,
    Channel,
    IsDrained,
    IsReady,
    Question,
    Statement,
    open_channel,
)
from trio_tcp._workers._events import (
    KillReason,
    WorkerEnded,
    WorkerKilled,
    WorkerReady,
    WorkerStarted,
    how,
)
from trio_tcp._workers._place import Place
from trio_tcp._workers._supervision import Supervision

__all__ = ["LIVE", "Plan", "WorkerProcess"]

LIVE: Final = "live"
"""The question that every worker answers while its loop turns."""

ABORT_SECONDS: Final = 10.0
"""How long after the grace a worker may take to end: its drain takes up to 5 seconds
more, and then the interpreter has to end."""

EXIT_SECONDS: Final = 10.0
"""How long a process may take to exit once it has closed the control channel."""

MISSES: Final = 3
"""In how many rounds in a row a worker must be silent. One alone proves nothing: the
supervisor may have been stopped meanwhile, and late itself."""


@attrs.frozen(kw_only=True)
class Plan:
    """What all workers have in common.

    Attributes:
        command: the program that each of them is.
        listeners: from which all of them accept.
        own_listeners: for each slot, from which its worker alone accepts; or none.
        grace: how long in seconds a drain lets connections finish.
        supervision: how long to wait for a worker in other things.
        observer: is told what happens.
    """

    command: Sequence[str]
    listeners: Sequence[trio.SocketListener]
    own_listeners: Sequence[Sequence[trio.SocketListener]]
    grace: float
    supervision: Supervision
    observer: Observer

    @property
    def all_listeners(self) -> list[trio.SocketListener]:
        """Those of all slots."""
        return [*self.listeners, *itertools.chain(*self.own_listeners)]

    def listeners_of(self, slot: int) -> list[trio.SocketListener]:
        """Those of the worker in a slot."""
        own = self.own_listeners[slot] if self.own_listeners else ()
        return [*self.listeners, *own]


@final
class WorkerProcess:
    """A worker, from its start to its end.

    Attributes:
        slot: which of the workers it is.
        generation: to which of them it belongs.
        settled: set once it is ready, or has ended before that.
        ended: set once its process has ended.
        ready_at: when it became ready (`trio.current_time`); None if it did not.
        returncode: how it ended; None while it runs, or if it could not be started.
        failure: why it could not be started.
    """

    def __init__(self, plan: Plan, slot: int, generation: int) -> None:
        self.slot = slot
        self.generation = generation
        self.settled = trio.Event()
        self.ended = trio.Event()
        self.ready_at: float | None = None
        self.returncode: int | None = None
        self.failure: OSError | None = None
        self._plan = plan
        self._process: trio.Process | None = None
        self._requester: Requester[Statement, Statement] | None = None
        self._numbers = itertools.count()
        self._report: DrainReport | None = None
        self._is_told_to_end = False
        self._began_at = 0.0

    @property
    def serves(self) -> bool:
        """Whether it is ready, and was not told to end."""
        return (
            self.ready_at is not None
            and self._requester is not None
            and not self._is_told_to_end
        )

    @property
    def fate(self) -> str:
        """What became of it, in a few words."""
        if self.failure is not None:
            return f"worker {self.slot} could not be started: {self.failure}"
        when = "" if self.ready_at else " before it was ready"
        status = "unknown status" if self.returncode is None else how(self.returncode)
        return f"worker {self.slot} ended{when}, {status}"

    async def run(self) -> None:
        """Run the process to its end.

        Cancellation:
            Kills it.
        """
        self._began_at = trio.current_time()
        try:
            with ungrouped():
                async with trio.open_nursery() as nursery:
                    await self._run(nursery)
        finally:
            if self._process is not None:
                self._note_end(self._process)
            self.settled.set()
            self.ended.set()

    async def ask(self, name: str) -> str | None:
        """Ask something; return the answer, or None if it has none, or is not there.

        Raises:
            ConnectionFault: it ends just now.
        """
        if self._requester is None:
            # Not started, or ended; perhaps so recently that nobody knows.
            await trio.lowlevel.checkpoint()
            return None
        answer = await self._requester.request(Question(next(self._numbers), name))
        return answer.text if isinstance(answer, Answer) else None

    def tell_to_end(self) -> None:
        """Tell it to drain and end; what is not started yet never is."""
        self._is_told_to_end = True
        self._signal(signal.SIGTERM)

    async def wait_ended(self) -> None:
        """Wait for the end of one that was told; kill it if it takes too long."""
        seconds = self._plan.grace + ABORT_SECONDS
        with trio.move_on_after(seconds):
            await self.ended.wait()
            return
        self._kill("grace", seconds)
        await self.ended.wait()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    # The process ---------------------------------------------------------------------

    async def _run(self, nursery: trio.Nursery) -> None:
        if self._is_told_to_end:
            return
        with ExitStack() as stack:
            try:
                ours, theirs = socket.socketpair()
                stack.enter_context(ours)
                process = await self._spawn(nursery, theirs)
            except OSError as error:  # no such program, or no descriptor is free
                self.failure = error
                return
            self._adopt(process)
            async with open_channel(ours) as channel:
                await self._talk(channel)
        with trio.move_on_after(EXIT_SECONDS):
            await process.wait()
        if process.returncode is None:
            self._kill("exit", EXIT_SECONDS)

    async def _spawn(
        self, nursery: trio.Nursery, theirs: socket.socket
    ) -> trio.Process:
        with theirs, ExitStack() as handed_down:
            # Our own descriptors may be closed meanwhile, and their numbers another's.
            listeners = self._plan.listeners_of(self.slot)
            listening = [os.dup(one.socket.fileno()) for one in listeners]
            for descriptor in listening:
                handed_down.callback(os.close, descriptor)
            place = Place(
                slot=self.slot,
                generation=self.generation,
                grace=self._plan.grace,
                control=theirs.fileno(),
                listeners=tuple(listening),
            )
            run = partial(
                trio.run_process,
                self._plan.command,
                stdin=subprocess.DEVNULL,
                env=place.environment(),
                pass_fds=(place.control, *listening),
                process_group=0,
                check=False,
                deliver_cancel=_kill_process,
            )
            process: trio.Process = await nursery.start(run)
        return process

    def _adopt(self, process: trio.Process) -> None:
        self._process = process
        self._notify(WorkerStarted(**self._who()))
        if self._is_told_to_end:
            self._signal(signal.SIGTERM)

    def _note_end(self, process: trio.Process) -> None:
        assert process.returncode is not None
        self.returncode = process.returncode
        self._notify(
            WorkerEnded(
                returncode=process.returncode,
                expected=self._is_told_to_end,
                report=self._report,
                seconds=trio.current_time() - self._began_at,
                **self._who(),
            )
        )

    def _signal(self, number: signal.Signals) -> None:
        # Does nothing if it has ended: the number may be another's then.
        if self._process is not None:
            self._process.send_signal(number)

    def _kill(self, reason: KillReason, seconds: float) -> None:
        killed = WorkerKilled(reason=reason, seconds=seconds, **self._who())
        self._notify(killed)
        self.kill()

    # The control channel -------------------------------------------------------------

    async def _talk(self, channel: Channel) -> None:
        """Talk until the worker closes its end."""
        requester = Requester(
            channel,
            correlate=_id_of,
            max_in_flight=math.inf,
            reply_timeout=math.inf,
        )
        async with trio.open_nursery() as nursery, requester:
            self._requester = requester
            nursery.start_soon(self._watch)
            try:
                async for statement in requester.unsolicited:
                    self._listen(statement)
            finally:
                self._requester = None
            nursery.cancel_scope.cancel()

    def _listen(self, statement: Statement) -> None:
        match statement:
            case IsReady():
                self.ready_at = trio.current_time()
                seconds = self.ready_at - self._began_at
                self._notify(WorkerReady(seconds=seconds, **self._who()))
                self.settled.set()
            case IsDrained():
                self._report = statement.report
            case _:
                pass

    async def _watch(self) -> None:
        """Kill the worker if it does not become ready, or stops answering."""
        supervision = self._plan.supervision
        with trio.move_on_after(supervision.startup):
            await self.settled.wait()
        if not self.settled.is_set():
            # Told to end meanwhile, it is waited for elsewhere.
            if not self._is_told_to_end:
                self._kill("startup", supervision.startup)
            return
        missed = 0
        while missed < MISSES:
            missed += 1
            with trio.move_on_after(supervision.heartbeat / MISSES):
                await self._is_alive()
                missed = 0
                await trio.sleep_forever()
        self._kill("heartbeat", supervision.heartbeat)

    async def _is_alive(self) -> None:
        try:
            await self.ask(LIVE)
        except ConnectionFault:
            # Its end of the channel is closed: it ends, and is waited for elsewhere.
            await trio.sleep_forever()

    # The observer --------------------------------------------------------------------

    def _who(self) -> dict[str, int]:
        pid = -1 if self._process is None else self._process.pid
        return {"slot": self.slot, "generation": self.generation, "pid": pid}

    def _notify(self, event: Event) -> None:
        notify(self._plan.observer, event)


async def _kill_process(process: trio.Process) -> None:
    await trio.lowlevel.checkpoint()
    process.kill()


def _id_of(statement: Statement) -> int | None:
    match statement:
        case Question(id=number) | Answer(id=number):
            return number
        case _:
            return None
