"""How much load `trio-tcp bench` makes: what a request costs it, and what the server.

Usage: ``python -m benchmarks.generator [--seconds S]``. Where the first number is the
smaller one, a core of the command has more than enough for a core of that server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any, Final

from benchmarks._catalog import ServerProgram, discover
from benchmarks._processes import HOST, ROOT, Cores, running
from benchmarks.load._usage import cpu_seconds

__all__ = ["main"]

LOADS: Final = {
    "1 connection": ("-c", "1"),
    "64 connections": ("-c", "64"),
    "64 connections, 16 in flight": ("-c", "64", "--in-flight", "16"),
    "open loop, 5,000/s": ("-c", "64", "--rate", "5000"),
    "churn": ("-c", "16", "--churn"),
}
SERVERS: Final = ("trio_tcp_respond", "trio_tcp", "uvloop_protocol", "asyncio_streams")
"""By their names in the report; those that are not there are left out."""

REQUEST: Final = ("--codec", "length-prefixed", "--size", "64", "--expect", "same")


def main() -> None:
    """Measure each load with each server."""
    parser = argparse.ArgumentParser(description="Measure the load generator.")
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds: float = parser.parse_args().seconds
    cores = Cores.of_this_machine()
    row = "{:<30} {:<18} {:>10} {:>10} {:>10}"
    print(row.format("µs of CPU per request", "", "command", "server", "requests/s"))
    for server in discover():
        if server.name in SERVERS and server.kind == "echo":
            for name, options in LOADS.items():
                print(
                    row.format(
                        name, server.name, *_measure(server, options, seconds, cores)
                    )
                )


def _measure(
    server: ServerProgram, options: tuple[str, ...], seconds: float, cores: Cores
) -> list[str]:
    with running(server, cores) as (port, pid):
        before = cpu_seconds(pid)
        found = _run(f"{HOST}:{port}", options, seconds)
        used = cpu_seconds(pid) - before
    replies = found["replies"]
    [own] = found["cpu_seconds"]
    return [
        f"{own / replies * 1e6:.1f}",
        f"{used / replies * 1e6:.1f}",
        f"{found['replies_per_second']:,.0f}",
    ]


def _run(address: str, options: tuple[str, ...], seconds: float) -> dict[str, Any]:
    # Without a warm-up, as the server's CPU is that of the whole run.
    command = [sys.executable, "-m", "trio_tcp", "bench", address, *REQUEST, *options]
    done = subprocess.run(
        [*command, "-d", str(seconds), "--warm-up", "0", "--json", "-"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
