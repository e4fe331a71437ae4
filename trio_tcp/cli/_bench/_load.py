"""A run: its clients, when each request is sent, and when it is over."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias, final

import trio

import trio_tcp
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._bench._clients import ask, pour, visit
from trio_tcp.cli._bench._plan import Plan
from trio_tcp.cli._bench._result import Ending, Result
from trio_tcp.cli._bench._schedule import (
    ClosedLoop,
    OpenLoop,
    Schedule,
    poisson,
    uniform,
)
from trio_tcp.cli._bench._tally import Tally
from trio_tcp.cli._bench._timer import SleepUntil

if TYPE_CHECKING:
    from trio_tcp.cli._bench._asker import Asker, Connection

__all__ = ["LOST_SECONDS", "Connect", "Load"]

Connect: TypeAlias = "Callable[[], AbstractAsyncContextManager[Connection]]"

LOST_SECONDS: Final = 10.0
"""Without any connection for so long, a run is over: the server does not come back."""

TICK: Final = 0.05
"""Seconds between two looks at what is overdue, and whether all is done."""

STRETCHES: Final = 100
"""How many stretches a run of known duration is divided into."""

STOPPED_GRACE: Final = 1.0
"""Seconds to wait for replies when the run was stopped."""


@final
class Load:
    """Puts a server under load, once.

    Args:
        connect: opens a connection, with the codec `Prepared`.
        plan: what to do.
        sleep_until: waits until requests are due; used by one task at a time.

    Attributes:
        plan: likewise.
        tally: what was measured so far.
        schedule: when requests are due, once all clients have tried to connect.
        frames: the messages with their numbers, in turn, without end.
        idle: askers with room for a request, as often as they have room; the one that
            waits longest first.
        askers: all that have a connection.
        begun: is set when requests are due.
        is_over: no more are.
        random: decides how long to wait before connecting again.
    """

    schedule: Schedule

    def __init__(
        self,
        connect: Connect,
        plan: Plan,
        *,
        sleep_until: SleepUntil = trio.sleep_until,
    ) -> None:
        self.plan: Plan = plan
        self.tally: Tally = Tally(math.inf)
        self.frames: Iterator[tuple[int, bytes]] = itertools.cycle(
            enumerate(plan.frames)
        )
        self.idle: deque[Asker] = deque()
        self.askers: set[Asker] = set()
        self.begun: trio.Event = trio.Event()
        self.is_over: bool = False
        self.random: Random = Random(plan.seed)
        self._connect = connect
        self._sleep_until = sleep_until
        self._scope = trio.CancelScope()
        self._end = math.inf
        self._unsent = 0
        self._ending: Ending = "complete"
        self._first_error: Exception | None = None
        self._live: set[Connection] = set()
        self._failing_since: float | None = None
        self._next_connect = 0.0
        self._under_way = 0
        self._room = trio.Event()
        self._turn = trio.Lock()
        self._bytes_closed = (0, 0)
        self._bytes_before = (0, 0)
        self._cpu_before = 0.0

    # The whole

    async def run(
        self, on_progress: Callable[[Result], None] = lambda _: None
    ) -> Result:
        """Connect, warm up, measure, and wait for the last replies.

        Args:
            on_progress: gets what was measured so far, about twice a second.

        Raises:
            ConnectError: nobody was there to begin with. Later the loss of the server
                is no error, but an ending.

        Cancellation:
            Closes all connections at once; `stop` is for results.
        """
        with self._scope:
            async with open_quiet_nursery() as nursery:
                await self._start(nursery)
                await self._watch(on_progress)
                nursery.cancel_scope.cancel()
        if self.tally.latencies:
            self.tally.fold(trio.current_time())
        return self.result()

    def stop(self) -> None:
        """End the run now, but for replies that come within a second."""
        self._ending = "interrupted"
        if self.begun.is_set():
            self._finish(trio.current_time())
        else:
            self._scope.cancel()

    async def _start(self, nursery: trio.Nursery) -> None:
        plan = self.plan
        if plan.mode == "churn":
            async with self.open():
                pass  # is anybody there?
        else:
            client = ask if plan.mode == "request-reply" else pour
            async with open_quiet_nursery() as starting:
                for _ in range(plan.connections):
                    starting.start_soon(nursery.start, client, self)
            if not self._live and self._first_error is not None:
                raise self._first_error
        self._begin(trio.current_time())
        if plan.mode == "churn":
            for _ in range(plan.connections):
                nursery.start_soon(visit, self)
        elif plan.mode == "request-reply" and plan.rate is not None:
            nursery.start_soon(self._pace)

    def _begin(self, now: float) -> None:
        plan, begin = self.plan, now + self.plan.warm_up
        self._end = begin + plan.duration
        if plan.rate is None:
            self.schedule = ClosedLoop(begin, self._end, plan.requests)
        else:
            times = (
                uniform(plan.rate, now)
                if plan.arrivals == "uniform"
                else poisson(plan.rate, now, Random(plan.seed))
            )
            self.schedule = OpenLoop(times, begin, self._end, plan.requests)
        self.tally.begin = self.tally.last_reply = begin
        self.begun.set()

    # What clients ask for

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection, None]:
        """Open a connection, in its turn; it is counted."""
        now = trio.current_time()
        at = max(self._next_connect, now)
        self._next_connect = at + 1 / self.plan.connect_rate
        await trio.sleep_until(at)
        async with self._connect() as connection:
            self._failing_since = None
            self._live.add(connection)
            try:
                yield connection
            finally:
                self._live.remove(connection)
                statistics = connection.statistics()
                sent, received = self._bytes_closed
                self._bytes_closed = (
                    sent + statistics.bytes_sent,
                    received + statistics.bytes_received,
                )

    @contextmanager
    def under_way(self) -> Generator[None, None, None]:
        """Let the run not end before this block does, if it does in time."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def next_due(self) -> float | None:
        """Wait for the next request, first come, first served; None: there are no more.

        Returns:
            When it was due.
        """
        due = self.schedule.take(trio.current_time())
        if due is not None:
            return due
        async with self._turn:
            while self.schedule.next_due < math.inf:
                await self._sleep_until(self.schedule.next_due)
                due = self.schedule.take(trio.current_time())
                if due is not None:
                    return due
        return None

    def fail(self, error: Exception) -> None:
        """Count what became of a connection, unless this side has ended it."""
        if self._first_error is None:
            self._first_error = error
        if self._failing_since is None:
            self._failing_since = trio.current_time()
        if not (self.is_over or isinstance(error, trio_tcp.ConnectionClosedError)):
            self.tally.fail(error)

    def pacer_may_go_on(self) -> None:
        """Say that there is room for a request, of which none was due."""
        self._room.set()

    async def _pace(self) -> None:
        """Send requests when they are due, as long as askers have room."""
        schedule, idle, tally = self.schedule, self.idle, self.tally
        while schedule.next_due < math.inf:
            await self._sleep_until(schedule.next_due)
            now = trio.current_time()
            while idle and (due := schedule.take(now)) is not None:
                if due >= tally.begin:
                    tally.lateness.append(now - due)
                idle.popleft().send(due, now)
            if not idle:
                self._room = trio.Event()
                await self._room.wait()

    # How it ends

    async def _watch(self, on_progress: Callable[[Result], None]) -> None:
        """Look again and again, until the run is over."""
        tally = self.tally
        await self._warm_up()
        duration = self.plan.duration
        stretch = max(TICK, duration / STRETCHES if duration < math.inf else 1.0)
        fold_at = tally.begin + stretch
        progress_at = tally.begin
        while not self._is_done(now := trio.current_time()):
            if now >= fold_at:
                tally.fold(now)
                fold_at += stretch
            if now >= progress_at:
                on_progress(self.result())
                progress_at = now + 0.5
            await trio.sleep_until(min(now + TICK, max(self._end, now + TICK / 10)))

    async def _warm_up(self) -> None:
        while (now := trio.current_time()) < self.tally.begin and not self.is_over:
            self._expire(now)
            await trio.sleep_until(min(now + TICK, self.tally.begin))
        self._bytes_before = self._bytes()
        self._cpu_before = time.process_time()

    def _is_done(self, now: float) -> bool:
        self._expire(now)
        failing = self._failing_since
        if not self._live and failing is not None and now - failing >= LOST_SECONDS:
            self._ending = "lost"
            self._finish(now)
            return True
        if now >= self._end or self.schedule.next_due == math.inf:
            self._finish(min(now, self._end))
        if not self.is_over:
            return False
        is_stopped = self._ending == "interrupted"
        return not self._outstanding() or (
            is_stopped and now >= self._end + STOPPED_GRACE
        )

    def _finish(self, now: float) -> None:
        """Let no more requests be due from now on."""
        if not self.is_over:
            self.is_over = True
            self._end = min(self._end, now)
            self._unsent = self.schedule.cut(self._end)

    def _expire(self, now: float) -> None:
        for asker in list(self.askers):
            asker.expire(now - self.plan.timeout)

    def _outstanding(self) -> int:
        return self._under_way + sum(asker.outstanding for asker in self.askers)

    # What was measured

    def _bytes(self) -> tuple[int, int]:
        sent, received = self._bytes_closed
        for connection in self._live:
            statistics = connection.statistics()
            sent += statistics.bytes_sent
            received += statistics.bytes_received
        return sent, received

    def result(self) -> Result:
        """Return what was measured so far."""
        plan, tally = self.plan, self.tally
        now = trio.current_time()
        end = min(self._end, now)
        if plan.duration == math.inf and self.is_over:
            end = -math.inf
        end = max(end, tally.last_reply)
        sent, received = self._bytes()
        is_open = plan.rate is not None
        return Result(
            mode=plan.mode,
            connections=plan.connections,
            in_flight=plan.in_flight,
            rate=plan.rate,
            ending=self._ending,
            seconds=max(0.0, end - tally.begin),
            latency=tally.all_latencies,
            uncorrected=tally.all_uncorrected if is_open else None,
            lateness=tally.all_lateness if is_open else None,
            errors=tally.errors,
            unanswered=tally.unanswered,
            unsent=self._unsent,
            bytes_sent=sent - self._bytes_before[0],
            bytes_received=received - self._bytes_before[1],
            cpu_seconds=(time.process_time() - self._cpu_before,),
            over_time=tuple(tally.over_time),
        )
