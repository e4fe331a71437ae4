"""One workload on one server: begin, warm up, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from benchmarks._measurement import Measurement
from benchmarks._workloads import Workload
from benchmarks.load._broadcast import start_broadcast
from benchmarks.load._churn import start_churn
from benchmarks.load._errors import LoadError
from benchmarks.load._idle import measure_idle
from benchmarks.load._loop import Loop
from benchmarks.load._ping_pong import start_ping_pong
from benchmarks.load._redis_benchmark import measure_redis_benchmark
from benchmarks.load._usage import cpu_seconds, resident_kib

__all__ = ["measure", "within_limit"]

STARTERS: Final[dict[str, Callable[[Loop, int, Workload], None]]] = {
    "ping-pong": start_ping_pong,
    "churn": start_churn,
    "broadcast": start_broadcast,
    "memory": start_broadcast,
}
SPARE_FILES: Final = 64
"""Open files that a process needs beside its connections."""


def measure(
    workload: Workload, *, port: int, pid: int, warm_up: float, seconds: float
) -> Measurement:
    """Put a server under load.

    Args:
        workload: what to do.
        port: where the server listens, on the loopback interface.
        pid: the server's process.
        warm_up: seconds before the measurement, not counted.
        seconds: how long to measure.

    Raises:
        LoadError: a reply was wrong, or none came.
        OSError: a connection broke.
    """
    if workload.traffic == "idle":
        return measure_idle(port, pid, workload)
    if workload.traffic == "redis-benchmark":
        return measure_redis_benchmark(port, pid, workload, seconds)
    with Loop() as loop:
        STARTERS[workload.traffic](loop, port, workload)
        loop.run_for(warm_up)
        if workload.traffic == "memory":
            return _measure_growth(loop, pid, seconds)
        return _measure_rate(loop, pid, seconds, workload.units_each)


def within_limit(workload: Workload, open_files: int) -> Workload:
    """Fit a workload into the limit of open files, if that leaves it what it is.

    Raises:
        LoadError: it does not.
    """
    most = open_files - SPARE_FILES
    if workload.connections <= most:
        return workload
    if workload.traffic == "idle" and most > 0:
        return replace(workload, connections=most)
    needed = workload.connections + SPARE_FILES
    raise LoadError(f"needs {needed} open files, and the limit is {open_files}")


def _measure_rate(
    loop: Loop, pid: int, seconds: float, units_each: float
) -> Measurement:
    operations = loop.operations
    del loop.latencies[:]
    wall, server, client = time.perf_counter(), cpu_seconds(pid), time.process_time()
    loop.run_for(seconds)
    wall = time.perf_counter() - wall
    server = cpu_seconds(pid) - server
    client = time.process_time() - client
    units = (loop.operations - operations) * units_each
    if not units or server <= 0:
        raise LoadError(f"too few replies to measure in {seconds} s")
    return Measurement(
        value=units / server,
        per_second=units / wall,
        server_busy=server / wall,
        client_busy=client / wall,
        p99_seconds=_p99(loop.latencies),
    )


def _measure_growth(loop: Loop, pid: int, seconds: float) -> Measurement:
    """Return how much the server grows while it is under load."""
    loop.run_for(seconds / 4)  # what has a bound may fill up to it first
    operations, before = loop.operations, resident_kib(pid)
    loop.run_for(seconds)
    if loop.operations == operations:
        raise LoadError(f"nothing came in {seconds} s")
    return Measurement(value=resident_kib(pid) - before)


def _p99(latencies: Sequence[float]) -> float | None:
    if not latencies:
        return None
    return sorted(latencies)[(len(latencies) * 99 - 1) // 100]
