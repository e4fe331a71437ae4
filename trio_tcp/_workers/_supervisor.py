"""The supervisor: from signals to generations of workers, and to systemd.

It owns the listening sockets and accepts nobody itself. They stay open while workers
come and go, so that no client is refused meanwhile: whoever comes waits in the queue
that all workers accept from.
"""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Sequence
from typing import Final, final

import trio

from trio_tcp._errors import ConnectionFault, WorkersFailedError
from trio_tcp._events import Event, Observer, notify
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._listen import address_of
from trio_tcp._log_events import log_events
from trio_tcp._nursery import ungrouped
from trio_tcp._systemd import notify_systemd, reloading
from trio_tcp._validators import check_duration, check_whole
from trio_tcp._workers._events import (
    ReloadFailed,
    ReloadFinished,
    ReloadStarted,
    SupervisorStarted,
    SupervisorStopped,
    SupervisorStopping,
    WorkersFailed,
)
from trio_tcp._workers._generation import Generation
from trio_tcp._workers._process import Plan, WorkerProcess
from trio_tcp._workers._supervision import DEFAULT_SUPERVISION, Supervision

__all__ = ["Supervisor"]

ANSWER_SECONDS: Final = 2.0
"""How long to wait for a worker's answer. Prometheus gives a scrape 10 seconds."""


@final
class Supervisor:
    """Runs several processes of one service.

    Args:
        command: the program that each worker is. It must call `work`.
        listeners: all workers accept from them. They are closed at the end, in any
            case.
        own_listeners: for each worker, from which it alone accepts. Likewise.
        workers: how many there are to be.
        grace: how long in seconds a drain lets connections finish.
        drain_delay: for how many seconds after the signal workers serve as before,
            while `ready` is False already.
        supervision: how long to wait for workers, and how to replace them.
        observer: is told what happens to workers.

    Raises:
        ValueError: ``workers`` is less than 1, or not the number of ``own_listeners``;
            ``grace`` or ``drain_delay`` is no number of seconds.
        TypeError: ``supervision`` or ``observer`` is of another kind.
        RuntimeError: this system cannot hand descriptors down to a process (Windows).
    """

    def __init__(
        self,
        command: Sequence[str],
        listeners: Sequence[trio.SocketListener],
        *,
        workers: int,
        own_listeners: Sequence[Sequence[trio.SocketListener]] = (),
        grace: float = 30.0,
        drain_delay: float = 0.0,
        supervision: Supervision = DEFAULT_SUPERVISION,
        observer: Observer = log_events,
    ) -> None:
        if sys.platform == "win32":
            raise RuntimeError("several workers need a system that hands sockets down")
        check_whole("workers", workers, 1)
        check_duration("grace", grace)
        check_duration("drain_delay", drain_delay)
        check_kind("supervision", supervision, Supervision)
        check_function("observer", observer)
        if own_listeners and len(own_listeners) != workers:
            raise ValueError(f"{len(own_listeners)} own_listeners, {workers} workers")
        self._plan = Plan(
            command=command,
            listeners=listeners,
            own_listeners=own_listeners,
            grace=grace,
            supervision=supervision,
            observer=observer,
        )
        self._size = workers
        self._drain_delay = drain_delay
        self._current: Generation | None = None
        self._generations: list[Generation] = []
        self._failure: str | None = None
        self._stopping = trio.Event()
        self._news = trio.Event()
        self._reload_is_wanted = False
        self._numbers = itertools.count(1)

    @property
    def ready(self) -> bool:
        """Whether clients are served: a worker is ready, and it is not the end."""
        return not self._stopping.is_set() and bool(self._serving)

    @property
    def _serving(self) -> dict[int, WorkerProcess]:
        return {} if self._current is None else self._current.serving

    async def ask(self, question: str) -> dict[int, str]:
        """Ask all workers that serve, and wait for each at most 2 seconds.

        Returns:
            The answers by slot; nothing from those that do not know, or do not answer
            in time.
        """
        answers: dict[int, str] = {}

        async def ask_one(slot: int, worker: WorkerProcess) -> None:
            try:
                answer = await worker.ask(question)
            except ConnectionFault:
                return
            if answer is not None:
                answers[slot] = answer

        with trio.move_on_after(ANSWER_SECONDS):
            async with trio.open_nursery() as nursery:
                for slot, worker in self._serving.items():
                    nursery.start_soon(ask_one, slot, worker)
        return answers

    async def run(self) -> None:
        """Run the service until SIGTERM or SIGINT. Only in the main thread.

        SIGHUP replaces the workers by new ones. A second SIGTERM or SIGINT kills them,
        and this process dies of it.

        Raises:
            WorkersFailedError: the workers do not become ready, or die again and again.

        Cancellation:
            Kills the workers.
        """
        try:
            with ungrouped():
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._heed_signals)
                    await self._run(nursery)
                    nursery.cancel_scope.cancel()
        finally:
            self._close_listeners()
        self._notify(SupervisorStopped())
        if self._failure is not None:
            raise WorkersFailedError(self._failure)

    # Signals -------------------------------------------------------------------------

    async def _heed_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(
            signal.SIGINT, signal.SIGTERM, signal.SIGHUP
        ) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    self._reload_is_wanted = True
                    self._tell()
                elif self._stopping.is_set():
                    self._die_of(number)
                else:
                    self._stop(number)

    def _stop(self, number: int | None) -> None:
        self._notify(SupervisorStopping(signal=number))
        notify_systemd("STOPPING=1\nSTATUS=draining")
        self._stopping.set()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def _die_of(self, number: int) -> None:
        for generation in self._generations:
            generation.kill()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    # Generations ---------------------------------------------------------------------

    async def _run(self, nursery: trio.Nursery) -> None:
        # First of all, so that no worker has systemd's variable.
        notify_systemd(f"STATUS=starting {self._size} workers")
        self._current = self._next(nursery)
        if await self._begin(self._current):
            addresses = map(address_of, self._plan.all_listeners)
            self._notify(
                SupervisorStarted(
                    addresses=tuple({a: None for a in addresses if a is not None}),
                    workers=self._size,
                )
            )
            self._report_ready(f"{self._size} workers")
            await self._reload_when_told(nursery)
            if self._failure is None:
                await trio.sleep(self._drain_delay)
        elif not self._stopping.is_set():
            self._give_up(self._current.failure)
        for generation in self._generations:
            generation.tell_to_end()
        # Clients are refused from here on, and may go elsewhere.
        self._close_listeners()
        async with trio.open_nursery() as waiting:
            for generation in self._generations:
                waiting.start_soon(generation.wait_ended)

    async def _reload_when_told(self, nursery: trio.Nursery) -> None:
        """Reload at SIGHUP. One that comes during a reload is another, after it."""
        while not self._stopping.is_set():
            if self._reload_is_wanted:
                self._reload_is_wanted = False
                await self._reload(nursery)
            else:
                await self._news.wait()

    async def _reload(self, nursery: trio.Nursery) -> None:
        old, new = self._current, self._next(nursery)
        assert old is not None
        began_at = trio.current_time()
        self._notify(ReloadStarted(generation=new.number))
        notify_systemd(reloading())
        if await self._begin(new):
            self._current = new
            seconds = trio.current_time() - began_at
            self._notify(ReloadFinished(generation=new.number, seconds=seconds))
            self._report_ready(f"{self._size} workers, generation {new.number}")
            nursery.start_soon(self._retire, old)
        elif not self._stopping.is_set():
            failed = ReloadFailed(generation=new.number, reason=new.failure)
            self._notify(failed)
            self._report_ready(failed.describe())
            nursery.start_soon(self._retire, new)

    def _next(self, nursery: trio.Nursery) -> Generation:
        generation = Generation(
            next(self._numbers), self._plan, self._size, nursery, self._give_up
        )
        self._generations.append(generation)
        return generation

    async def _begin(self, generation: Generation) -> bool:
        """Begin a generation, unless the service is told to stop meanwhile."""
        has_begun = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_stopping, nursery.cancel_scope)
            has_begun = await generation.begin()
            nursery.cancel_scope.cancel()
        return has_begun

    async def _cancel_when_stopping(self, scope: trio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _retire(self, generation: Generation) -> None:
        generation.tell_to_end()
        await generation.wait_ended()
        self._generations.remove(generation)

    def _give_up(self, reason: str) -> None:
        """Stop, as at a signal, and remember why."""
        if self._failure is None and not self._stopping.is_set():
            self._failure = reason
            self._notify(WorkersFailed(reason=reason))
            self._stop(None)

    # Others --------------------------------------------------------------------------

    def _close_listeners(self) -> None:
        for listener in self._plan.all_listeners:
            listener.socket.close()

    def _report_ready(self, status: str) -> None:
        notify_systemd(f"READY=1\nSTATUS={status}")

    def _notify(self, event: Event) -> None:
        notify(self._plan.observer, event)
