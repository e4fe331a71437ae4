"""The next connections, a few, that fail; those after them work."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, final, get_args

import attrs

from trio_tcp._kinds import one_of
from trio_tcp._validators import whole
from trio_tcp.testing.faults._as_written import as_written
from trio_tcp.testing.faults._covered import is_first_of_connection
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Endpoint, Flag, Segment

__all__ = ["FailNext"]

Failure: TypeAlias = Literal["refused", "timeout", "reset"]
FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)


@final
@attrs.frozen
class FailNext:
    """The next connections fail, and those after them work.

    Attempts count as the network sees them: a name with two addresses can be two.

    Attributes:
        count: How many fail.
        error: ``"refused"``: ECONNREFUSED, at once. ``"timeout"``: ETIMEDOUT, after 127
            seconds. ``"reset"``: it is accepted, and
            reset at once.
    """

    count: int = attrs.field(default=1, validator=whole(1))
    error: Failure = attrs.field(
        default="refused", kw_only=True, validator=one_of(*FAILURES)
    )

    def __str__(self) -> str:
        return as_written(self)

    @classmethod
    def draw(cls, source: random.Random) -> FailNext:
        """Draw up to three that are refused or reset."""
        error: Failure = "refused" if source.random() < 0.5 else "reset"  # noqa: PLR2004 - one half
        return cls(source.randint(1, 3), error=error)

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on what a target covers."""
        attempts: dict[tuple[Endpoint, Endpoint, int], bool] = {}
        failed: dict[tuple[Endpoint, Endpoint], None] = {}

        def on_syn(segment: Segment, passage: Passage) -> None:
            way = (segment.source, segment.destination)
            # A SYN that is sent again has the same number, and is the same attempt.
            fails = attempts.setdefault((*way, segment.seq), len(attempts) < self.count)
            if fails and self.error == "refused":
                passage.refused = "refused"
            elif fails and self.error == "timeout":
                passage.lost = "swallowed by a black hole"
            elif fails:
                failed[way] = None
            else:
                failed.pop(way, None)

        def on_segment(segment: Segment, passage: Passage) -> None:
            way = (segment.source, segment.destination)
            if is_first_of_connection(segment):
                on_syn(segment, passage)
            elif way in failed and not segment.flags & Flag.RST:
                del failed[way]
                passage.reset = "reset"

        return network.rules.add_wire(target, on_segment)
