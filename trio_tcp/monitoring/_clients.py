"""The pools and requesters that are watched, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, final

from prometheus_client.metrics_core import Metric

from trio_tcp._pool import PoolStatistics
from trio_tcp._requests import RequesterStatistics
from trio_tcp.monitoring._figure import Figure, Sheet

__all__ = ["CLIENT_FIGURES", "Clients", "WatchedPool", "WatchedRequester"]

POOL: Final = ("pool",)
REQUESTER: Final = ("requester",)

POOL_CONNECTIONS: Final = Figure(
    "pool_connections",
    "gauge",
    "Connections of a pool now: idle, in use, or being made.",
    labels=("pool", "state"),
)
POOL_WAITING: Final = Figure(
    "pool_waiting", "gauge", "Tasks that wait for a connection of a pool.", labels=POOL
)
POOL_LONGEST_WAIT: Final = Figure(
    "pool_longest_wait_seconds",
    "gauge",
    "For how long the first task in the line has waited.",
    labels=POOL,
)
POOL_MADE: Final = Figure(
    "pool_connections_made", "counter", "Connections that a pool has made.", labels=POOL
)
POOL_DISCARDED: Final = Figure(
    "pool_connections_discarded",
    "counter",
    "Connections that a pool has closed, by why.",
    labels=("pool", "reason"),
)
REQUESTS: Final = Figure(
    "requester_requests",
    "gauge",
    "Requests now: waiting in line, or in flight.",
    labels=("requester", "state"),
)
REPLIES: Final = Figure(
    "requester_replies", "counter", "Replies to those who asked.", labels=REQUESTER
)
LATE_REPLIES: Final = Figure(
    "requester_late_replies",
    "counter",
    "Replies to requests that were cancelled.",
    labels=REQUESTER,
)
RETRIES: Final = Figure(
    "requester_retries", "counter", "Requests sent once more.", labels=REQUESTER
)
UNSOLICITED_DROPPED: Final = Figure(
    "requester_unsolicited_dropped",
    "counter",
    "Messages that nobody asked for, and nobody took.",
    labels=REQUESTER,
)

CLIENT_FIGURES: Final = (
    POOL_CONNECTIONS,
    POOL_WAITING,
    POOL_LONGEST_WAIT,
    POOL_MADE,
    POOL_DISCARDED,
    REQUESTS,
    REPLIES,
    LATE_REPLIES,
    RETRIES,
    UNSOLICITED_DROPPED,
)


class WatchedPool(Protocol):
    """What `open_pool` opens, as far as it is watched."""

    def statistics(self) -> PoolStatistics:
        """Return the counters."""
        ...


class WatchedRequester(Protocol):
    """What `open_requester` and its kin open, as far as it is watched."""

    def statistics(self) -> RequesterStatistics | tuple[RequesterStatistics, ...]:
        """Return the counters, perhaps of several connections."""
        ...


@final
class Clients:
    """Pools and requesters, by their names."""

    def __init__(self) -> None:
        self.pools: dict[str, WatchedPool] = {}
        self.requesters: dict[str, WatchedRequester] = {}

    def collect(self) -> Iterator[Metric]:
        """Ask them all."""
        sheet = Sheet(CLIENT_FIGURES)
        for name, pool in self.pools.items():
            _read_pool(name, pool.statistics(), sheet)
        for name, requester in self.requesters.items():
            now = requester.statistics()
            for each in now if isinstance(now, tuple) else (now,):
                _read_requester(name, each, sheet)
        return sheet.collect()


def _read_pool(name: str, now: PoolStatistics, sheet: Sheet) -> None:
    sheet.add(POOL_CONNECTIONS, now.idle, name, "idle")
    sheet.add(POOL_CONNECTIONS, now.in_use, name, "in_use")
    sheet.add(POOL_CONNECTIONS, now.connecting, name, "connecting")
    sheet.add(POOL_WAITING, now.waiting, name)
    sheet.add(POOL_LONGEST_WAIT, now.longest_wait, name)
    sheet.add(POOL_MADE, now.made, name)
    for reason, count in now.discarded.items():
        sheet.add(POOL_DISCARDED, count, name, reason.name.lower())


def _read_requester(name: str, now: RequesterStatistics, sheet: Sheet) -> None:
    sheet.add(REQUESTS, now.waiting, name, "waiting")
    sheet.add(REQUESTS, now.in_flight, name, "in_flight")
    sheet.add(REPLIES, now.replies, name)
    sheet.add(LATE_REPLIES, now.late_replies, name)
    sheet.add(RETRIES, now.retries, name)
    sheet.add(UNSOLICITED_DROPPED, now.unsolicited_dropped, name)
