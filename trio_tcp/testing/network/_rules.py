"""What faults may change: how segments pass, what sockets read, what names mean.

A fault is in force as long as one of its functions is in these lists. Each function
is there for a target, and is asked about nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, final

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd
    from trio_tcp.testing.traces import Flow, Segment

__all__ = [
    "HeldBack",
    "LookupRule",
    "Passage",
    "ReadRule",
    "Rules",
    "Target",
    "WireRule",
]

R = TypeVar("R")


class Target(Protocol):
    """What a fault is in force on: a network, a host, a link, a port, a connection."""

    def covers(self, flow: Flow) -> bool:
        """Say whether it has to do with bytes that go this way."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts that it has to do with; none means all."""
        ...


@final
class HeldBack:
    """Segments that wait until they are released."""

    def __init__(self) -> None:
        self.segments: list[tuple[Segment, TcpEnd | None]] = []


@final
class Passage:
    """What is about to become of a segment. Faults change it.

    Attributes:
        delay: Seconds that it travels beside those of its link.
        every: It arrives only at a multiple of so many seconds; 0 for any time.
        lost: Why it is lost; empty if it is not.
        refused: Why it is answered with a reset, and lost; empty if it is not.
        reset: Why the connection is reset both ways after it; empty if it is not.
        held: Who holds it back; None if nobody does.
        keep: How many bytes of its payload are sent; None if all are. For a segment
            after which the connection is reset.
    """

    __slots__ = ("delay", "every", "held", "keep", "lost", "refused", "reset")

    def __init__(self) -> None:
        self.delay: float = 0.0
        self.every: float = 0.0
        self.lost: str = ""
        self.refused: str = ""
        self.reset: str = ""
        self.held: HeldBack | None = None
        self.keep: int | None = None


WireRule = Callable[["Segment", Passage], None]
"""Changes the passage of a segment."""

ReadRule = Callable[["TcpEnd"], int]
"""Says how many bytes a socket may read now, at most; 0 to let it wait."""

LookupRule = Callable[[str], None]
"""Is asked before a name is looked up, and raises `socket.gaierror` if that fails."""


@final
class _For(Generic[R]):
    """A rule, and what it is about."""

    __slots__ = ("rule", "target")

    def __init__(self, target: Target, rule: R) -> None:
        self.target = target
        self.rule = rule


@final
class Rules:
    """The rules that are in force on a network, in the order of their coming.

    Attributes:
        wire: Those about segments.
        read: Those about what sockets read.
        write: Those about what sockets take to send. Whoever handles many segments
            looks at these lists first, as they are mostly empty.
    """

    def __init__(self) -> None:
        self.wire: list[_For[WireRule]] = []
        self.read: list[_For[ReadRule]] = []
        self.write: list[_For[ReadRule]] = []
        self._lookup: list[LookupRule] = []

    def add_wire(self, target: Target, rule: WireRule) -> Callable[[], None]:
        """Ask a rule about each segment; returns how to end that."""
        return _add(self.wire, _For(target, rule))

    def add_read(self, target: Target, rule: ReadRule) -> Callable[[], None]:
        """Ask a rule before a socket reads; returns how to end that."""
        return _add(self.read, _For(target, rule))

    def add_write(self, target: Target, rule: ReadRule) -> Callable[[], None]:
        """Ask a rule before a socket takes bytes to send; returns how to end that."""
        return _add(self.write, _For(target, rule))

    def add_lookup(self, rule: LookupRule) -> Callable[[], None]:
        """Ask a rule before a name is looked up; returns how to end that."""
        return _add(self._lookup, rule)

    def judge(self, segment: Segment) -> Passage:
        """Ask every rule that covers a segment how it passes."""
        passage = Passage()
        for rule in list(self.wire):
            if rule.target.covers(segment):
                rule.rule(segment, passage)
        return passage

    def read_limit(self, end: TcpEnd) -> int:
        """Say how many bytes an end may read now."""
        return _smallest(self.read, end, end.incoming)

    def write_limit(self, end: TcpEnd) -> int:
        """Say how many bytes an end may take to send now."""
        return _smallest(self.write, end, end.outgoing)

    def look_up(self, name: str) -> None:
        """Ask every rule whether a name can be looked up.

        Raises:
            socket.gaierror: it cannot.
        """
        for rule in list(self._lookup):
            rule(name)


def _add(rules: list[Any], rule: object) -> Callable[[], None]:
    rules.append(rule)

    def end() -> None:
        if rule in rules:
            rules.remove(rule)

    return end


def _smallest(rules: list[_For[ReadRule]], end: TcpEnd, flow: Flow) -> int:
    limits = [rule.rule(end) for rule in rules if rule.target.covers(flow)]
    return min(limits, default=sys.maxsize)
