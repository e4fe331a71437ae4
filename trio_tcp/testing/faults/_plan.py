"""What goes wrong when: faults with their times."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack, asynccontextmanager
from typing import final

import attrs
import trio

from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._validators import duration
from trio_tcp.testing.network import Fault, Injection, Target, VirtualNetwork

__all__ = ["Plan", "Step"]


@final
@attrs.frozen(kw_only=True)
class Step:
    """One fault of a plan.

    Attributes:
        at: When it begins, in seconds from the beginning of the plan.
        seconds: How long it is in force; 0 is for those that are over at once, as
            `Reset` is.
        fault: What goes wrong.
        on: What it is in force on; None means everything.
    """

    at: float = attrs.field(validator=duration)
    seconds: float = attrs.field(default=0.0, validator=duration)
    fault: Fault
    on: Target | None = None

    @property
    def end(self) -> float:
        """When it ends, in seconds from the beginning of the plan."""
        return self.at + self.seconds

    def __str__(self) -> str:
        where = "everything" if self.on is None else self.on
        return f"{self.at:9.3f} s, for {self.seconds:.3f} s: {self.fault} on {where}"


def _in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(sorted(steps, key=lambda step: step.at))


@final
@attrs.frozen
class Plan:
    """Faults with their times, to be run beside a program.

    ``str(plan)`` has a line for each step.

    Attributes:
        steps: The faults, in the order of their times.

    Example::

        path = net.path("a", "b")
        steps = [
            faults.Step(at=1, seconds=5, fault=faults.Partition(), on=path),
            faults.Step(at=8, fault=faults.Reset()),
        ]
        async with faults.Plan(steps).running(net, quiet=10):
            await use_the_service()
    """

    steps: tuple[Step, ...] = attrs.field(converter=_in_order)

    def __str__(self) -> str:
        return "\n".join(str(step) for step in self.steps)

    @property
    def seconds(self) -> float:
        """When the last fault has ended, in seconds from the beginning."""
        return max((step.end for step in self.steps), default=0.0)

    async def run(self, network: VirtualNetwork) -> None:
        """Let everything go wrong in its time; returns when the last fault has ended.

        To be started in a nursery, beside what it shall disturb; or see `running`.

        Args:
            network: Where.

        Cancellation:
            Ends all faults that are in force.
        """
        start = trio.current_time()
        in_force: dict[int, Injection] = {}
        with ExitStack() as stack:
            for time, is_begin, number in self._events():
                await trio.sleep_until(start + time)
                step = self.steps[number]
                if is_begin:
                    injection = network.inject(step.fault, step.on)
                    in_force[number] = stack.enter_context(injection)
                else:
                    in_force.pop(number).end()

    def _events(self) -> list[tuple[float, bool, int]]:
        """List when which step ends (False) or begins, ends first.

        A step that takes no time begins before it ends, as the last of its moment.
        """
        begins = [(step.at, True, i) for i, step in enumerate(self.steps)]
        ends = [(step.end, False, i) for i, step in enumerate(self.steps)]
        lasting = [end for end in ends if end[0] > self.steps[end[2]].at]
        momentary = [end for end in ends if end not in lasting]
        return sorted(sorted(begins + lasting) + momentary, key=lambda event: event[0])

    @asynccontextmanager
    async def running(
        self, network: VirtualNetwork, *, quiet: float = 0.0
    ) -> AsyncGenerator[Plan, None]:
        """Run it beside a block, then wait until all is over.

        What the block finds is safety: nothing may be wrong ever. What is true after it
        is liveness: everything has recovered by then. An exception that leaves the
        block ends all faults at once, and bears the plan in a note.

        Args:
            network: Where.
            quiet: How many seconds pass, without any of its faults, after the end of
                the block and of the plan.

        Cancellation:
            Ends all faults that are in force.
        """
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(self.run, network)
            try:
                yield self
            except Exception as error:
                error.add_note(f"What went wrong on purpose:\n{self}")
                nursery.cancel_scope.cancel()
                raise
        await trio.sleep(quiet)
