"""What one user, one delivery and one publication cost, and what that makes of many.

Usage: ``python -m benchmarks.scaling [--seconds S] [--page PAGE]``, where the page is
``docs/performance/scaling.md``. It prints two tables, or writes them into the page,
between its two marks. It needs ``redis-server``, ``redis-cli`` and ``redis-benchmark``.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks._catalog import ServerProgram, discover
from benchmarks._machine import Machine
from benchmarks._processes import Cores, raise_file_limit, run_load, running
from benchmarks._redis_link import linked
from benchmarks._workloads import WORKLOADS
from benchmarks.load._usage import cpu_seconds

__all__ = ["Costs", "tables", "written_into"]

BEGIN: Final = "<!-- figures: begin -->\n"
END: Final = "<!-- figures: end -->\n"

BUSY: Final = 0.5
"""How busy a process, or Redis, may be, so that a burst does not queue up for long."""
SUBSCRIBERS: Final = 10
PUBLICATIONS: Final = 20_000
SETTLING: Final = 0.2
CHANNEL: Final = "channel"

USERS: Final = (10_000, 1_000_000)
ROOM: Final = 20  # users
SECONDS_BETWEEN: Final = 10  # what a user says in a room
FEED_RATE: Final = 10  # publications per second, to everybody


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured.

    Attributes:
        deliveries: of 64 bytes, per second of a process's CPU.
        deliveries_4k: of 4 KiB.
        user_kib: memory of an idle connection in the process.
        publish_seconds: of Redis's CPU, for a publication that nobody subscribes to.
        copy_seconds: of Redis's CPU, for each subscriber of it.
    """

    deliveries: float
    deliveries_4k: float
    user_kib: float
    publish_seconds: float
    copy_seconds: float


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description="Measure what much is made of.")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    raise_file_limit()
    text = tables(measure(args.seconds), Machine.this())
    if args.page is None:
        print(text, end="")
    else:
        page = args.page.read_text(encoding="utf-8")
        args.page.write_text(written_into(page, text), encoding="utf-8")


def measure(seconds: float) -> Costs:
    """Measure each, one after the other."""
    alone, shared = redis_seconds(0), redis_seconds(SUBSCRIBERS)
    return Costs(
        deliveries=measured("hub1k", seconds),
        deliveries_4k=measured("hub1k_4k", seconds),
        user_kib=measured("idle", seconds),
        publish_seconds=alone,
        copy_seconds=max(shared - alone, 0) / SUBSCRIBERS,
    )


def measured(workload: str, seconds: float) -> float:
    """Return the figure of this package's server under a workload."""
    server = named("trio_tcp", WORKLOADS[workload].kind)
    cores = Cores.of_this_machine()
    with running(server, cores) as (port, pid):
        result = run_load(
            workload, port, pid, warm_up=0.5, seconds=seconds, cores=cores
        )
    return result.value


def named(name: str, kind: str) -> ServerProgram:
    """Find a server."""
    [found] = [s for s in discover() if (s.name, s.kind) == (name, kind)]
    return found


def redis_seconds(subscribers: int) -> float:
    """Return the CPU that Redis takes for a publication to so many."""
    with ExitStack() as stack:
        port, pid = stack.enter_context(running(named("redis_server", "key_value")))
        for _ in range(subscribers):
            command = ["redis-cli", "-p", str(port), "subscribe", CHANNEL]
            listener = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(listener.wait)
            stack.callback(listener.kill)
        link = stack.enter_context(linked(port))
        while link.ask(f"PUBLISH {CHANNEL} x") != f":{subscribers}".encode():
            time.sleep(SETTLING)
        before = cpu_seconds(pid)
        subprocess.run(
            [
                *("redis-benchmark", "-p", str(port), "-q"),
                *("-n", str(PUBLICATIONS), "PUBLISH", CHANNEL, "x" * 64),
            ],
            check=True,
            capture_output=True,
        )
        time.sleep(SETTLING)  # the rest of what it sends
        return (cpu_seconds(pid) - before) / PUBLICATIONS


def tables(costs: Costs, machine: Machine) -> str:
    """Return what was measured, and what follows, as Markdown."""
    redis = 1 / costs.publish_seconds
    copies = 1 / costs.copy_seconds if costs.copy_seconds > 0 else math.inf
    lines = [
        f"Measured on {machine.processor}, with {machine.system}, {machine.python} and",
        f"Redis {machine.redis}.",
        "",
        "| Cost | Measured |",
        "|---|---:|",
        f"| deliveries of 64 B per second of one core | {costs.deliveries:,.0f} |",
        f"| deliveries of 4 KiB per second of one core | {costs.deliveries_4k:,.0f} |",
        f"| memory of an idle connection | {costs.user_kib:.1f} KiB |",
        f"| publications per second of Redis's core | {redis:,.0f} |",
        f"| copies to processes per second of Redis's core | {copies:,.0f} |",
        "",
        "| | Deliveries/s | Processes | Memory of connections | Redis is busy |",
        "|---|---:|---:|---:|---:|",
        *(row(costs, users, feed=feed) for feed in (False, True) for users in USERS),
    ]
    return "\n".join(lines) + "\n"


def row(costs: Costs, users: int, *, feed: bool) -> str:
    """Return what so many users need, who talk in rooms, or who listen to a feed."""
    if feed:
        title, published = "feed", float(FEED_RATE)
        deliveries = published * users
    else:
        title, published = "rooms", users / SECONDS_BETWEEN
        deliveries = published * ROOM
    processes = math.ceil(deliveries / costs.deliveries / BUSY)
    copies = processes if feed else min(processes, ROOM)
    busy = published * (costs.publish_seconds + copies * costs.copy_seconds)
    memory = users * costs.user_kib / (1 << 20)
    return (
        f"| {users:,} users, {title} | {deliveries:,.0f} | {processes} "
        f"| {memory:.2g} GiB | {busy:.1%} |"
    )


def written_into(page: str, text: str) -> str:
    """Return a page with this text between its marks.

    Raises:
        ValueError: the page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no marks {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{text}{END}{after}"


if __name__ == "__main__":
    main()
