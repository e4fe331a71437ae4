"""Faults that are drawn: kinds, places and times."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, final

import attrs

from trio_tcp._validators import duration, share, span
from trio_tcp.testing.faults._bandwidth import Bandwidth
from trio_tcp.testing.faults._black_hole import BlackHole
from trio_tcp.testing.faults._coalesce import Coalesce
from trio_tcp.testing.faults._crash import Crash
from trio_tcp.testing.faults._cut import Cut
from trio_tcp.testing.faults._dns_failure import DnsFailure
from trio_tcp.testing.faults._fail_next import FailNext
from trio_tcp.testing.faults._full_backlog import FullBacklog
from trio_tcp.testing.faults._hold import Hold
from trio_tcp.testing.faults._latency import Latency
from trio_tcp.testing.faults._loss import Loss
from trio_tcp.testing.faults._partition import Partition
from trio_tcp.testing.faults._pause import Pause
from trio_tcp.testing.faults._plan import Plan, Step
from trio_tcp.testing.faults._refuse import Refuse
from trio_tcp.testing.faults._reset import Reset
from trio_tcp.testing.faults._short_writes import ShortWrites
from trio_tcp.testing.faults._slice import Slice
from trio_tcp.testing.faults._slice_at import SliceAt
from trio_tcp.testing.faults._stall import Stall
from trio_tcp.testing.faults._swizzle import swizzle
from trio_tcp.testing.network import Fault, Host, Target, VirtualNetwork

__all__ = ["BREAKING", "DELAYING", "Chaos", "Draw"]

Draw: TypeAlias = Callable[[random.Random], Fault]
"""How a fault is drawn: each kind has it as ``draw``, and any function will do."""

DELAYING: Final[tuple[Draw, ...]] = (
    Latency.draw,
    Bandwidth.draw,
    Loss.draw,
    Slice.draw,
    SliceAt.draw,
    ShortWrites.draw,
    Coalesce.draw,
    Stall.draw,
    Hold.draw,
    Pause.draw,
    Partition.draw,
    BlackHole.draw,
    FullBacklog.draw,
)
"""Kinds after which every byte has arrived, only later, if nobody gave up meanwhile."""

BREAKING: Final[tuple[Draw, ...]] = (
    Reset.draw,
    Cut.draw,
    Refuse.draw,
    FailNext.draw,
    DnsFailure.draw,
)
"""Kinds that break connections, or keep new ones from being made."""


def _as_tuple(values: Iterable[Draw]) -> tuple[Draw, ...]:
    return tuple(values)


def _as_targets(values: Iterable[Target]) -> tuple[Target, ...]:
    return tuple(values)


@final
@attrs.frozen(kw_only=True)
class Chaos:
    """Draws faults from a network's seed, and lets them happen beside a program.

    ::

        async with faults.Chaos(seconds=30).running(net):
            await use_the_service()  # may fail, but not wrongly
        await use_the_service()  # has recovered

    Attributes:
        faults: What may go wrong, each as a function that draws it: ``Latency.draw``,
            or one of your own that takes a `random.Random`. By default `DELAYING` and
            `BREAKING`. Where every program was started with `Host.start`, add
            ``Crash.draw``.
        on: Where: hosts, links, paths, ports. By default every host, every link and
            every path between hosts that there are when it begins.
        seconds: For how long faults begin and end.
        quiet: How many seconds pass without one afterwards, for the program to recover.
            TCP itself takes up to 120 s, and as long as a partition has lasted.
        shortest: How long a fault lasts at least, in seconds.
        longest: How long at most.
        pause: How many seconds lie between the beginnings of two faults, on average.
        one_by_one: Whether each fault begins only after the one before has ended.
        swizzles: Which share of the faults stops several targets one by one, in the
            manner of `swizzle`.
    """

    faults: tuple[Draw, ...] = attrs.field(
        default=DELAYING + BREAKING,
        converter=_as_tuple,
        validator=attrs.validators.min_len(1),
    )
    on: tuple[Target, ...] = attrs.field(default=(), converter=_as_targets)
    seconds: float = attrs.field(default=30.0, validator=span)
    quiet: float = attrs.field(default=60.0, validator=duration)
    shortest: float = attrs.field(default=0.1, validator=duration)
    longest: float = attrs.field(default=5.0, validator=duration)
    pause: float = attrs.field(default=1.0, validator=span)
    one_by_one: bool = False
    swizzles: float = attrs.field(default=0.1, validator=share)

    def __attrs_post_init__(self) -> None:
        if not self.shortest <= self.longest <= self.seconds:
            raise ValueError(
                f"shortest ({self.shortest}), longest ({self.longest}) and seconds "
                f"({self.seconds}) must be in this order"
            )

    def draw(self, network: VirtualNetwork) -> Plan:
        """Draw a plan from a network's seed. All its faults end within ``seconds``."""
        source = network.random
        targets = self.on or _all_of(network)
        steps: list[Step] = []
        at = source.uniform(0, self.pause)
        while at + self.shortest <= self.seconds:
            longest = min(self.longest, self.seconds - at)
            seconds = source.uniform(self.shortest, longest)
            steps += self._draw_steps(source, targets, round(at, 3), round(seconds, 3))
            at += source.uniform(0, 2 * self.pause)
            if self.one_by_one:
                at += seconds
        return Plan(steps)

    def _draw_steps(
        self,
        source: random.Random,
        targets: Sequence[Target],
        at: float,
        seconds: float,
    ) -> Sequence[Step]:
        fault = source.choice(self.faults)(source)
        if isinstance(fault, Crash | Pause):
            targets = [target for target in targets if isinstance(target, Host)]
        if not targets:
            return ()
        if source.random() < self.swizzles:
            return swizzle(source, fault, targets, seconds=seconds, at=at).steps
        on = source.choice(targets)
        return (Step(at=at, seconds=seconds, fault=fault, on=on),)

    @asynccontextmanager
    async def running(self, network: VirtualNetwork) -> AsyncGenerator[Plan, None]:
        """Draw a plan, and run it beside a block; then let ``quiet`` seconds pass.

        The block gets the plan. It is in the notes of an exception that leaves it.

        Args:
            network: Where.

        Cancellation:
            Ends all faults that are in force.
        """
        async with self.draw(network).running(network, quiet=self.quiet) as plan:
            yield plan


def _all_of(network: VirtualNetwork) -> list[Target]:
    """List what there is on a network, in the order of its making."""
    hosts = list(network.hosts.values())
    names = list(network.hosts)
    pairs = [(a, b) for a in names for b in names if a != b]
    targets: list[Target] = [*hosts]
    targets += [network.link(a, b) for a, b in pairs]
    targets += [network.path(a, b) for a, b in pairs if names.index(a) < names.index(b)]
    return targets
