"""The load generator of Redis: ``redis-benchmark``, which is written in C.

It is told how many requests, not for how long. So it runs several times, with more and
more, until a run takes about the time that is wanted. The figures are differences of
this run and the first, short one: to start, and to connect, is in both, and counts for
nobody.
"""

from __future__ import annotations

import math
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from typing import Final

from benchmarks._measurement import Measurement
from benchmarks._workloads import Workload
from benchmarks.load._errors import LoadError
from benchmarks.load._usage import cpu_seconds

__all__ = ["measure_redis_benchmark"]

COMMANDS: Final = ["SET", "GET"]
FEW: Final = 1000
LEAST_GROWTH: Final = 2
MOST_GROWTH: Final = 8
"""From one run to the next: what a short one says of the time is worth little."""
PATIENCE: Final = 30.0
"""Seconds for one run. Where nobody listens, the program waits for ever."""
SETTLING: Final = 0.1
"""Seconds in which the server sees off the clients of a run, which is its work too."""
ROW: Final = re.compile(r'^"(SET|GET)",', re.MULTILINE)
"""Of its table, which is there when a command has been done as often as it should."""


@dataclass(frozen=True)
class _Run:
    """One run: how many requests, and seconds of CPU of either side and of the wall."""

    requests: int
    server: float
    client: float
    wall: float


def measure_redis_benchmark(
    port: int, pid: int, workload: Workload, seconds: float
) -> Measurement:
    """Put a server under load for about so many seconds, and no less than half of it.

    Raises:
        LoadError: it has failed; its last words are the message.
    """
    count = FEW
    short = long = _run(port, pid, workload, count)
    while (wall := long.wall - short.wall) < seconds / 2:
        growth = seconds / wall if wall > 0 else math.inf
        count = int(count * min(max(growth, LEAST_GROWTH), MOST_GROWTH))
        long = _run(port, pid, workload, count)
    requests = long.requests - short.requests
    server = long.server - short.server
    if server <= 0:
        raise LoadError(f"too few replies to measure in {seconds} s")
    return Measurement(
        value=requests / server,
        per_second=requests / wall,
        server_busy=server / wall,
        client_busy=(long.client - short.client) / wall,
    )


def _run(port: int, pid: int, workload: Workload, requests: int) -> _Run:
    """Have so many requests of each command done."""
    options = ["-p", str(port), "-c", str(workload.connections), "-n", str(requests)]
    options += ["-P", str(workload.depth), "-t", ",".join(COMMANDS).lower(), "--csv"]
    server, client, wall = cpu_seconds(pid), _seconds_of_children(), time.perf_counter()
    try:
        done = subprocess.run(
            ["redis-benchmark", *options],
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"redis-benchmark is not done after {PATIENCE:.0f} s") from None
    wall = time.perf_counter() - wall
    time.sleep(SETTLING)
    server = cpu_seconds(pid) - server
    client = _seconds_of_children() - client
    if done.returncode or ROW.findall(done.stdout) != COMMANDS:
        said = (done.stdout + done.stderr).strip() or "nothing"
        raise LoadError(f"redis-benchmark fails, and says: {said.splitlines()[-1]}")
    return _Run(requests * len(COMMANDS), server, client, wall)


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
