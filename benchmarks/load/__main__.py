"""The load generator as a process of its own.

Usage: ``python -m benchmarks.load WORKLOAD PORT PID [--seconds S] [--core N]``. It
prints what it has measured, or what went wrong, as one JSON document.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
from dataclasses import asdict

from benchmarks._workloads import WORKLOADS
from benchmarks.load._errors import LoadError
from benchmarks.load._measure import measure, within_limit

__all__ = ["main"]


def main() -> None:
    """Run one workload."""
    parser = argparse.ArgumentParser(description="Put a server under load.")
    choices = [name for name, w in WORKLOADS.items() if w.traffic != "requester"]
    parser.add_argument("workload", choices=choices)
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("--warm-up", type=float, default=0.2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--core", type=int, help="to run on")
    args = parser.parse_args()
    if args.core is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {args.core})
    gc.disable()  # nothing here makes garbage in circles
    try:
        measurement = measure(
            within_limit(
                WORKLOADS[args.workload], resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            ),
            port=args.port,
            pid=args.pid,
            warm_up=args.warm_up,
            seconds=args.seconds,
        )
    except (LoadError, OSError) as error:
        print(json.dumps({"error": str(error)}))
    else:
        print(json.dumps(asdict(measurement)))


if __name__ == "__main__":
    main()
