"""The workloads: what clients do to a server, and how many of them.

Only the standard library is imported here: the load generator reads this too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["BASELINE", "WORKLOADS", "Kind", "Traffic", "Workload"]

Kind: TypeAlias = Literal[
    "echo", "broadcast", "tls", "lines", "json", "key_value", "requester"
]
"""What a server does and how it frames. ``echo``, ``tls`` and ``broadcast`` have the
length of a message in four bytes before it, ``lines`` and ``json`` a line each.
``key_value`` is a Redis, and ``requester`` no server but a client of one."""

Traffic: TypeAlias = Literal[
    "ping-pong", "churn", "idle", "broadcast", "redis-benchmark", "requester"
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
        unit: what is counted.
        units_each: how many of the unit one operation is.
        most_rounds: after so many rounds nothing new is to be learned.
        baseline: the server, or client, with which the others are compared.
        needs: programs of others, without which it is skipped.
    """

    name: str
    title: str
    connections: int
    kind: Kind = "echo"
    traffic: Traffic = "ping-pong"
    depth: int = 1
    size: int = 64
    unit: str = "requests"
    units_each: float = 1
    most_rounds: int = 1_000
    baseline: str = BASELINE
    needs: tuple[str, ...] = ()

    @property
    def less_is_better(self) -> bool:
        """Whether the figure is a cost: memory."""
        return self.traffic == "idle"

    @property
    def is_of_requests(self) -> bool:
        """Whether there is a Redis: the report has a section of its own for these."""
        return self.kind in ("key_value", "requester")


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
            unit="KiB",
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
    )
}
