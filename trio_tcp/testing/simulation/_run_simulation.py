"""One program, one seed, one run on a virtual network in virtual time."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Generic, TypeVar, TypeVarTuple, final

import attrs
import trio
from trio.testing import MockClock

from trio_tcp._nursery import leaves, ungrouped
from trio_tcp._validators import check_duration
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.network._open import open_network
from trio_tcp.testing.network._timeline import Timeline
from trio_tcp.testing.simulation._driver import IDLE_THRESHOLD, Driver
from trio_tcp.testing.simulation._entropy import seeded_entropy
from trio_tcp.testing.simulation._errors import SimulationError
from trio_tcp.testing.simulation._fences import Allowed, fences
from trio_tcp.testing.simulation._garbage import repeatable_garbage
from trio_tcp.testing.simulation._last_failure import remember_failure
from trio_tcp.testing.simulation._readiness import virtual_readiness
from trio_tcp.testing.simulation._schedule import (
    Schedule,
    check_schedule,
    seeded_schedule,
)
from trio_tcp.testing.simulation._task_tree import task_tree
from trio_tcp.testing.simulation._wall_clock import virtual_wall_clock
from trio_tcp.testing.traces import Trace

__all__ = ["SimulationResult", "run_simulation"]

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_LAST_SEGMENTS: Final = 20
_one_at_a_time: Final = threading.Lock()


@final
@attrs.frozen(kw_only=True, eq=False)
class SimulationResult(Generic[_T_co]):
    """What came of a simulation.

    Attributes:
        value: What the function returned.
        trace: Everything that was sent.
        seed: Of the run.
        seconds: How long it took, on its own clock.
    """

    value: _T_co
    trace: Trace
    seed: int
    seconds: float


def run_simulation(
    fn: Callable[[VirtualNetwork, *_Ts], Awaitable[_T]],
    *args: *_Ts,
    seed: int = 0,
    time_limit: float = 3600.0,
    schedule: Schedule = "shuffle",
    allow: Collection[Allowed] = (),
) -> SimulationResult[_T]:
    """Run ``await fn(network, *args)`` on a virtual network, as a seed decides.

    The function runs on a host of its own, named ``test``, and makes others with
    `VirtualNetwork.host`. When it returns, all hosts are cancelled. One seed is one
    run: the network, the order of Trio's tasks and the randomness of Python each draw
    from a stream of their own, and the clock moves only when every task waits.

    While it runs, `random`, `os.urandom`, `time.time` and `time.monotonic` are virtual
    in this thread, and what no seed can repeat is refused. One simulation runs at a
    time in a process.

    Args:
        fn: The program.
        *args: What it takes after the network.
        seed: Which run this is.
        time_limit: How many virtual seconds it may take.
        schedule: ``"shuffle"`` runs the tasks that are ready in an order that the
            seed decides. ``"fifo"`` runs whoever got ready first, and of those who got
            ready at the same time whoever was started first.
        allow: What is let through the fences: ``"threads"``, ``"processes"``,
            ``"sockets"``.

    Raises:
        SimulationDeadlock: Every task waits for another, for ever.
        SimulationLivelock: Tasks run without end while no time passes.
        SimulationTimeout: The time limit is over.
        SimulationFenceError: The program reached for something that is not allowed.
        SimulationError: Another simulation runs in this process.
        BaseException: What the function or a host raised, as itself; more than one at
            once as a group. A note has the seed.
        ValueError: There is no such schedule, or nothing of that name to allow, or the
            time limit is no number of seconds.

    Example::

        async def main(net: testing.VirtualNetwork) -> str:
            lines = codecs.Lines()
            net.host("server").start(partial(serve_tcp, echo, 80, codec=lines))
            await net.settle()
            net.inject(faults.Latency(0.5), on=net.path("test", "server"))
            async with trio_tcp.connect_tcp("server", 80, codec=lines) as client:
                await client.send("hello")
                return await client.receive()

        result = testing.run_simulation(main, seed=7)
        assert result.value == "hello"
        assert 1 < result.seconds < 10  # of the network's time
    """
    check_schedule(schedule)
    check_duration("time_limit", time_limit)
    if not _one_at_a_time.acquire(blocking=False):
        raise SimulationError("a simulation runs already in this process")
    try:
        with repeatable_garbage():
            return _simulate(fn, args, seed, time_limit, schedule, allow)
    finally:
        _one_at_a_time.release()


def _simulate(  # noqa: PLR0917 - its one caller has them all
    fn: Callable[[VirtualNetwork, *_Ts], Awaitable[_T]],
    args: tuple[*_Ts],
    seed: int,
    time_limit: float,
    schedule: Schedule,
    allow: Collection[Allowed],
) -> SimulationResult[_T]:
    simulation = _Simulation(seed, time_limit, allow)
    with (
        seeded_schedule(f"{seed}:schedule", schedule),
        seeded_entropy(random.Random(f"{seed}:program")),
        virtual_wall_clock(simulation.clock),
    ):
        value = simulation.run(fn, *args)
    return SimulationResult(
        value=value,
        trace=simulation.network.trace,
        seed=seed,
        seconds=simulation.clock.current_time(),
    )


@final
class _Simulation:
    """A network, its clock, and who moves it."""

    def __init__(
        self, seed: int, time_limit: float, allow: Collection[Allowed]
    ) -> None:
        self.network: VirtualNetwork = VirtualNetwork(seed=seed)
        self.clock: MockClock = MockClock(autojump_threshold=IDLE_THRESHOLD)
        self._seed = seed
        self._time_limit = time_limit
        self._allow = allow
        self._driver: Driver | None = None

    def run(
        self,
        fn: Callable[[VirtualNetwork, *_Ts], Awaitable[_T]],
        *args: *_Ts,
    ) -> _T:
        try:
            value = trio.run(self._run, fn, *args, clock=self.clock)
            self._check_not_stopped()
        except BaseException as raised:
            error = self._cause_of(raised)
            error.add_note(f"This is the simulation with seed={self._seed}.")
            remember_failure(self._seed, self.network.trace)
            if error is raised:
                raise
            other = (leaf for leaf in leaves(raised) if leaf is not error)
            raise error from next(other, None)  # noqa: ASYNC104 - after trio.run
        return value

    def _check_not_stopped(self) -> None:
        """Raise what stopped the run, also where the program has caught it."""
        if self._driver is not None and self._driver.error is not None:
            raise self._driver.error

    def _cause_of(self, raised: BaseException) -> BaseException:
        """Find what ended the run: what it raised, or why it was stopped before."""
        stopped = None if self._driver is None else self._driver.error
        return stopped if stopped and isinstance(raised, Exception) else raised

    async def _run(
        self,
        fn: Callable[[VirtualNetwork, *_Ts], Awaitable[_T]],
        *args: *_Ts,
    ) -> _T:
        network = self.network
        main = trio.lowlevel.current_task()
        main.name = f"{getattr(fn, '__qualname__', fn)} on test"
        with trio.CancelScope() as scope:
            driver = self._driver = Driver(
                timeline=network.timeline,
                clock=self.clock,
                scope=scope,
                report=lambda: _report(main, network.trace),
                time_limit=self._time_limit,
                allows_real_io=not {"processes", "sockets"}.isdisjoint(self._allow),
            )
            trio.lowlevel.add_instrument(driver)
            with fences(self._allow, driver.fail), virtual_readiness(network):
                with ungrouped():
                    async with open_network(network, _drive_from_outside, driver.now):
                        return await network.host("test").run(fn, network, *args)
        self._check_not_stopped()
        raise AssertionError("nobody else cancels this scope")


async def _drive_from_outside(_timeline: Timeline) -> None:
    """Leave the timeline to the driver."""


def _report(main: trio.lowlevel.Task, trace: Trace) -> str:
    last = trace.segments[-_LAST_SEGMENTS:]
    return "\n".join(
        [
            "Tasks, and the lines at which they wait:",
            task_tree(main),
            f"The last {len(last)} of {len(trace)} segments:",
            *map(str, last),
        ]
    )
