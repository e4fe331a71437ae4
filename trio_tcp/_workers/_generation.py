"""Workers that were started together, and run the same code: one for each slot.

A generation has one chance to begin: all its workers become ready, or it failed. From
then on a slot whose worker dies is filled again, until the generation is told to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import trio

from trio_tcp._reconnecting import seeded
from trio_tcp._workers._process import Plan, WorkerProcess
from trio_tcp._workers._restarts import Restarts

__all__ = ["Generation"]


@final
class Generation:
    """One generation of workers.

    Args:
        number: of the generation, from 1.
        plan: what all workers have in common.
        size: how many there are.
        nursery: where the processes are waited for.
        give_up: is called, with the reason, when it has begun, and workers die again
            and again, and none serves any more.

    Attributes:
        failure: why it could not begin, in a sentence; empty if it could.
    """

    def __init__(
        self,
        number: int,
        plan: Plan,
        size: int,
        nursery: trio.Nursery,
        give_up: Callable[[str], None],
    ) -> None:
        self.number = number
        self.failure = ""
        self._plan = plan
        self._size = size
        self._nursery = nursery
        self._give_up = give_up
        self._has_begun = False
        self._beginning = trio.CancelScope()
        self._stopping = trio.Event()
        self._workers: dict[int, WorkerProcess] = {}

    @property
    def serving(self) -> dict[int, WorkerProcess]:
        """The workers that serve, by slot."""
        return {slot: w for slot, w in self._workers.items() if w.serves}

    async def begin(self) -> bool:
        """Start the workers; return whether all became ready.

        The first one alone: if the code cannot be imported, that is told once.

        Cancellation:
            Leaves those that were started as they are: `tell_to_end`.
        """
        with self._beginning:
            for slots in (range(1), range(1, self._size)):
                workers = [self._fill(slot) for slot in slots]
                for worker in workers:
                    await worker.settled.wait()
                    if worker.ready_at is None:
                        self.failure = worker.fate
                        return False
            self._has_begun = True
        return self._has_begun

    def tell_to_end(self) -> None:
        """Tell all workers to drain, and replace none any more."""
        self._stopping.set()
        for worker in self._workers.values():
            worker.tell_to_end()

    async def wait_ended(self) -> None:
        """Wait for the end of workers that were told; it is bounded."""
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                nursery.start_soon(worker.wait_ended)

    def kill(self) -> None:
        """End all workers at once."""
        self._stopping.set()
        for worker in self._workers.values():
            worker.kill()

    def _fill(self, slot: int) -> WorkerProcess:
        worker = self._new(slot)
        self._nursery.start_soon(self._keep_filled, worker)
        return worker

    def _new(self, slot: int) -> WorkerProcess:
        worker = WorkerProcess(self._plan, slot, self.number)
        self._workers[slot] = worker
        return worker

    async def _keep_filled(self, worker: WorkerProcess) -> None:
        """Run a worker, and another when it has ended, and so on."""
        restarts = Restarts(self._plan.supervision.restart, seeded())
        while True:
            await worker.run()
            if worker.ready_at is None and not self._has_begun:
                return
            delay = restarts.delay_after(_seconds_ready(worker))
            if restarts.is_exhausted and not self.serving:
                self._fail(f"{worker.fate}, {restarts.in_a_row} times in a row")
                return
            with trio.move_on_after(delay):
                await self._stopping.wait()
            if self._stopping.is_set():
                return
            worker = self._new(worker.slot)

    def _fail(self, reason: str) -> None:
        if self._stopping.is_set():
            return
        if self._has_begun:
            self._give_up(reason)
        else:  # another generation may serve
            self.failure = reason
            self._beginning.cancel()


def _seconds_ready(worker: WorkerProcess) -> float:
    return 0.0 if worker.ready_at is None else trio.current_time() - worker.ready_at
