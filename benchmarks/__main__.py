"""Benchmarks: ours beside others, all in one go.

Usage: ``python -m benchmarks [--only pp64,pipe] [--servers trio_tcp,trio_plain]
[--rounds N] [--seconds S]``. It writes ``report.md`` and ``report.svg``.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks._catalog import ServerProgram, discover
from benchmarks._chart import chart
from benchmarks._figures import figures_of
from benchmarks._machine import Machine
from benchmarks._processes import Cores, raise_file_limit
from benchmarks._progress import progress_bar
from benchmarks._report import Conditions, report
from benchmarks._session import plan, run_all
from benchmarks._workloads import GROUPS, WORKLOADS, Workload, selected

__all__ = ["main"]

INTERRUPTED: Final = 130
WARM_UP: Final = 0.1


def main() -> None:
    """Run a session, and write its report."""
    # Ended in any way, it ends the processes that it has started.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(_arguments())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run servers of this package and others under the same load.",
    )
    parser.add_argument(
        "--only",
        metavar="A,B",
        type=_names,
        default=["main"],
        help=(
            f"workloads: {', '.join(WORKLOADS)}; or groups of them: "
            f"{', '.join(sorted(GROUPS))}; by default main"
        ),
    )
    parser.add_argument(
        "--servers", metavar="A,B", type=_names, help="by name; all by default"
    )
    parser.add_argument("--rounds", type=int, default=3, help="3 by default")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.4,
        help="for each measurement, 0.4 by default",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path(__file__).parent,
        help="where report.md and report.svg go; beside this program by default",
    )
    arguments = parser.parse_args()
    known = {server.name for server in discover()}
    only: list[str] = arguments.only
    named: list[str] = arguments.servers or []
    wrong = [name for name in only if name not in WORKLOADS.keys() | GROUPS]
    wrong += [name for name in named if name not in known]
    if wrong:
        parser.error(
            f"unknown: {', '.join(wrong)}; the servers are {', '.join(sorted(known))}"
        )
    return arguments


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _run(arguments: argparse.Namespace) -> None:
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    workloads = selected(arguments.only)
    skipped = _skipped(workloads)
    workloads = [w for w in workloads if w.name not in skipped]
    servers = _chosen(discover(), arguments.servers)
    raise_file_limit()
    cores = Cores.of_this_machine()
    runs = plan(workloads, servers, arguments.rounds)
    with progress_bar(len(runs)) as on_run:
        results = run_all(
            runs,
            warm_up=WARM_UP,
            seconds=arguments.seconds,
            cores=cores,
            on_run=on_run,
        )
    table = {workload: figures_of(workload, results.samples) for workload in workloads}
    conditions = Conditions(
        machine=Machine.this(),
        date=date,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        pinned=cores.server is not None,
    )
    page = report(conditions, table, results.failures, skipped)
    drawn = {w: rows for w, rows in table.items() if not w.is_of_requests}
    _write(arguments.output, page, chart(drawn))
    for name, reason in skipped.items():
        print(f"{name} is skipped: {reason}", file=sys.stderr)
    for (server, workload), reason in results.failures.items():
        print(f"{server} under {workload} {reason}", file=sys.stderr)


def _chosen(
    servers: Sequence[ServerProgram], names: Sequence[str] | None
) -> list[ServerProgram]:
    return [server for server in servers if names is None or server.name in names]


def _skipped(workloads: Iterable[Workload]) -> dict[str, str]:
    """Return those for which a program is missing here, and which."""
    missing = {
        workload.name: [name for name in workload.needs if shutil.which(name) is None]
        for workload in workloads
    }
    return {
        workload: f"the program {names[0]} is not installed"
        for workload, names in missing.items()
        if names
    }


def _write(folder: Path, page: str, picture: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(page, encoding="utf-8")
    (folder / "report.svg").write_text(picture, encoding="utf-8")
    print(f"{folder / 'report.md'}")


if __name__ == "__main__":
    main()
