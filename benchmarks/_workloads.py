"""The workloads: what clients do to a server, and how many of them.

Only the standard library is imported here: the load generator reads this too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = [
    "BASELINE",
    "GROUPS",
    "WORKLOADS",
    "Kind",
    "Traffic",
    "Workload",
    "selected",
]

Kind: TypeAlias = Literal[
    "echo", "broadcast", "hub", "tls", "lines", "json", "key_value", "requester"
]
"""What a server does and how it frames. ``echo``, ``tls``, ``broadcast`` and ``hub``
have the length of a message in four bytes before it, ``lines`` and ``json`` a line
each. A ``hub`` tells what one says to all who have said nothing, and leaves out what
one that does not read has no room for. ``key_value`` is a Redis, and ``requester`` no
server but a client of one."""

Traffic: TypeAlias = Literal[
    "ping-pong", "churn", "idle", "broadcast", "memory", "redis-benchmark", "requester"
]

BASELINE: Final = "trio_plain"
"""With whom all are compared that send messages back."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What clients do to a server.

    Attributes:
        name: short, for tables and the command line.
        title: what it is, in words.
        kind: the servers that can take it.
        traffic: what a client does.
        connections: open at the same time.
        depth: requests that a client has under way at the same time.
        size: bytes in each message, without its framing.
        stalled: of the connections, how many read nothing.
        unit: what is counted.
        units_each: how many of the unit one operation is.
        most_rounds: after so many rounds nothing new is to be learned.
        baseline: the server, or client, with which the others are compared.
        needs: programs of others, without which it is skipped.
        least_seconds: how long a measurement must be, to mean anything.
        group: those of the group ``main`` are run if nothing else is said.
    """

    name: str
    title: str
    connections: int
    kind: Kind = "echo"
    traffic: Traffic = "ping-pong"
    depth: int = 1
    size: int = 64
    stalled: int = 0
    unit: str = "requests"
    units_each: float = 1
    most_rounds: int = 1_000
    baseline: str = BASELINE
    needs: tuple[str, ...] = ()
    least_seconds: float = 0
    group: str = "main"

    @property
    def healthy(self) -> int:
        """How many of the connections read."""
        return self.connections - self.stalled

    @property
    def less_is_better(self) -> bool:
        """Whether the figure is a cost: memory."""
        return self.traffic in ("idle", "memory")

    @property
    def is_of_requests(self) -> bool:
        """Whether there is a Redis: the report has a section of its own for these."""
        return self.kind in ("key_value", "requester")


def _hub(subscribers: int, size: int, stalled: int) -> Workload:
    """Return a workload of a feed: one speaks, many listen."""
    name = f"hub{subscribers // 1000}k" + ("_4k" if size == _PAGE else "")
    words = f"1 client's {size} B messages to {subscribers} others, 4 under way"
    return Workload(
        name=name + ("_stalled" if stalled else ""),
        title=words + (f"; {stalled} of them read nothing" if stalled else ""),
        kind="hub",
        traffic="broadcast",
        connections=subscribers,
        depth=4,
        size=size,
        stalled=stalled,
        unit="deliveries",
        group="hub",
    )


_PAGE: Final = 4096

WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload(
            name="pp1",
            title="ping-pong, 1 connection, 64 B",
            connections=1,
        ),
        Workload(
            name="pp64",
            title="ping-pong, 64 connections, 64 B",
            connections=64,
        ),
        Workload(
            name="pp1000",
            title="ping-pong, 1000 connections, 64 B",
            connections=1000,
        ),
        Workload(
            name="pipe",
            title="pipelined, 64 connections, 32 requests under way on each, 64 B",
            connections=64,
            depth=32,
        ),
        Workload(
            name="bulk",
            title="4 connections, 4 messages of 64 KiB under way on each, MB each way",
            connections=4,
            depth=4,
            size=64 << 10,
            unit="MB",
            units_each=(64 << 10) / 1e6,
        ),
        Workload(
            name="churn",
            title="connect, one 64 B echo, half-close, wait for the end; 64 at a time",
            traffic="churn",
            connections=64,
            unit="connections",
        ),
        Workload(
            name="idle",
            title="memory of an idle connection, up to 5000 of them",
            traffic="idle",
            connections=5000,
            unit="KiB per connection",
            most_rounds=1,
        ),
        Workload(
            name="bcast",
            title="1 client's 64 B messages to 1000 others, 4 under way",
            kind="broadcast",
            traffic="broadcast",
            connections=1000,
            depth=4,
            unit="deliveries",
        ),
        Workload(
            name="tls",
            title="pp64 over TLS",
            kind="tls",
            connections=64,
        ),
        Workload(
            name="lines",
            title="pp64 with lines of text",
            kind="lines",
            connections=64,
        ),
        Workload(
            name="json",
            title="pp64 with JSON, read and written again, a line each",
            kind="json",
            connections=64,
        ),
        Workload(
            name="kv1",
            title="redis-benchmark -t set,get -P 1, 50 connections",
            kind="key_value",
            traffic="redis-benchmark",
            connections=50,
            baseline="asyncio_streams",
            needs=("redis-benchmark",),
        ),
        Workload(
            name="kv16",
            title="redis-benchmark -t set,get -P 16, 50 connections",
            kind="key_value",
            traffic="redis-benchmark",
            connections=50,
            depth=16,
            baseline="asyncio_streams",
            needs=("redis-benchmark",),
        ),
        *(
            Workload(
                name=f"ask{tasks}",
                title=f"GET, asked of a redis-server by {words} of one client",
                kind="requester",
                traffic="requester",
                connections=1,
                depth=tasks,
                baseline="coredis",
                needs=("redis-server",),
            )
            for tasks, words in ((1, "1 task"), (10, "10 tasks"), (1000, "1000 tasks"))
        ),
        *(
            _hub(subscribers, size, stalled)
            for subscribers in (1000, 10_000)
            for size in (64, _PAGE)
            for stalled in (0, subscribers // 100)
        ),
        Workload(
            name="hub_memory",
            title="growth in a minute of 4 KiB messages to 1000; 10 read nothing",
            kind="hub",
            traffic="memory",
            connections=1000,
            depth=4,
            size=_PAGE,
            stalled=10,
            unit="KiB",
            most_rounds=1,
            least_seconds=60,
            group="hub",
        ),
    )
}

GROUPS: Final = frozenset(workload.group for workload in WORKLOADS.values())


def selected(names: Collection[str]) -> list[Workload]:
    """Return the workloads of these names, and those of the groups among them."""
    return [
        workload
        for workload in WORKLOADS.values()
        if workload.name in names or workload.group in names
    ]
