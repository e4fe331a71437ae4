"""Clients under measurement: programs that ask a real Redis as long as they run.

Each is started as ``FILE PORT TASKS KEY VALUE``, and has so many tasks ask for the key,
again and again, and see that the reply is the value. It counts nothing: Redis tells how
many requests there were, and the system what CPU they took.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import IO, Final

from benchmarks._catalog import ServerProgram, discover
from benchmarks._measurement import Measurement
from benchmarks._processes import (
    CannotStart,
    Cores,
    RunFailed,
    last_words,
    running,
    started,
)
from benchmarks._redis_link import RedisLink, linked
from benchmarks._workloads import Workload
from benchmarks.load._usage import cpu_seconds

__all__ = ["measure_requester"]

SILENCE: Final = 15.0
"""Seconds after which a client that has not asked is given up."""
BETWEEN_LOOKS: Final = 0.01
KEY: Final = "key"
VALUE: Final = "x" * 64


@dataclass(frozen=True)
class _Reading:
    """Until now: requests, and seconds of CPU of either process and of the wall."""

    requests: int
    client: float
    server: float
    wall: float


def measure_requester(
    client: ServerProgram,
    workload: Workload,
    *,
    warm_up: float,
    seconds: float,
    cores: Cores,
) -> Measurement:
    """Let a client ask a Redis that is there for it alone.

    Args:
        client: the program.
        workload: its depth is how many tasks ask.
        warm_up: seconds before the measurement, from the first request on.
        seconds: how long it is.
        cores: where the processes run.

    Raises:
        CannotStart: Redis, or the client, has ended or does nothing.
        RunFailed: the client has ended meanwhile.
    """
    [redis] = [program for program in discover() if program.name == "redis_server"]
    arguments = (str(workload.depth), KEY, VALUE)
    with running(redis, cores) as (port, server_pid), linked(port) as link:
        link.ask(f"SET {KEY} {VALUE}")
        with started(client, str(port), *arguments, core=cores.client) as (
            process,
            output,
        ):

            def reading() -> _Reading:
                return _Reading(
                    link.gets(),
                    cpu_seconds(process.pid),
                    cpu_seconds(server_pid),
                    time.perf_counter(),
                )

            _wait_until_it_asks(process, link, output)
            time.sleep(warm_up)
            before = reading()
            time.sleep(seconds)
            if process.poll() is not None:
                raise RunFailed(last_words(output))
            return _difference(before, reading(), seconds)


def _difference(before: _Reading, after: _Reading, seconds: float) -> Measurement:
    requests = after.requests - before.requests
    wall = after.wall - before.wall
    client = after.client - before.client
    if not requests or client <= 0:
        raise RunFailed(f"too few replies to measure in {seconds} s")
    return Measurement(
        value=requests / client,
        per_second=requests / wall,
        server_busy=(after.server - before.server) / wall,
        client_busy=client / wall,
    )


def _wait_until_it_asks(
    process: subprocess.Popen[bytes], link: RedisLink, output: IO[bytes]
) -> None:
    give_up = time.monotonic() + SILENCE
    while not link.gets():
        if process.poll() is not None:
            raise CannotStart(last_words(output))
        if time.monotonic() > give_up:
            raise CannotStart(f"it does not ask after {SILENCE:.0f} s")
        time.sleep(BETWEEN_LOOKS)
