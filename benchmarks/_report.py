"""The figures as a page of Markdown, with what a reader must know to judge them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks._figures import Figures
from benchmarks._machine import Machine
from benchmarks._report_of_requests import requests_section
from benchmarks._tables import workload_table
from benchmarks._workloads import Workload

__all__ = ["Conditions", "report"]

_LEGEND: Final = """\
**Figure** is what the servers are compared by: requests (MB, connections, deliveries)
per second of the *server's* CPU. The client is written in Python too, and keeps pace
with the server on a core of its own only just; when it does not, requests per second on
the wall say how fast the client is. **Server busy** and **client busy** are the shares
of their cores that the two were using: where the server's is well below 100 %, the wall
figure is the client's, and the server's figure is lower than it would be under full
load, because it finds less to do each time it wakes. (Where both are low under more
than one client, somebody else was using the cores.) **Spread** is half of the way from
the lowest round to the highest. **Ratio** is that of the medians to plain Trio, above 1
is better, and in brackets the lowest and the highest ratio within one round: believe no
difference that is smaller than that.
"""

_NOTES: Final = """\
## What these figures are not

- Loopback only. There is no network, and no packet is ever lost. The kernel's work for
  a segment is done in whichever process sends it, so the server's CPU has a share of
  the client's receiving in it, the same for all.
- A machine that others use too, such as a virtual one, is as noisy as the spread says.
  One run proves nothing; the ratios of one run are worth more than figures of two.
- Every reply is compared with what was sent, byte by byte, by the client; not by
  `redis-benchmark`, which only counts them.
- **What is not like for like.** trio_tcp has its timeouts, limits and observer at their
  defaults, which means on. The others have a limit on the size of a message and nothing
  else. In `pipe`, trio_tcp sends replies that are ready together in one call; the
  others call for each, as one usually writes it. In `bcast`, plain Trio has a bounded
  queue for each client and waits for slow ones; the protocols of asyncio and uvloop
  keep what a slow client does not read, without limit. In `hub…` all leave it out: the
  others have room for 64 KiB or 64 messages, trio_tcp for 64 KiB and for 1000 messages,
  which those who lag share. `trio_tcp_general` is this
  package without its fast path for sockets. `…_sleep0` and `…_semaphore` await
  something else in each request: compare them with each other. In `json` all use
  msgspec.
- Memory is what the server's process grew by, for connections that have echoed one
  message each, and is measured once: it hardly varies.
- The interpreter is the one above. Others differ, by more than many a row here.
"""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a session was run.

    Attributes:
        machine: where.
        date: when it began.
        rounds: how many.
        seconds: how long each measurement was.
        pinned: whether server and client had a core each.
    """

    machine: Machine
    date: str
    rounds: int
    seconds: float
    pinned: bool


def report(
    conditions: Conditions,
    table: Mapping[Workload, Sequence[Figures]],
    failures: Mapping[tuple[str, str], str],
    skipped: Mapping[str, str],
) -> str:
    """Return the page; the picture is expected beside it, as ``report.svg``.

    Args:
        conditions: how all was measured.
        table: the figures.
        failures: by server and workload, why there are none.
        skipped: by workload, why it was not tried.
    """
    measured = {workload: rows for workload, rows in table.items() if rows}
    of_requests = {w: rows for w, rows in measured.items() if w.is_of_requests}
    of_messages = {w: rows for w, rows in measured.items() if not w.is_of_requests}
    lines = [
        "# Report of the benchmarks",
        "",
        "Made by `make bench`; [README.md](README.md) says how to run and read it.",
        "",
        *_conditions(conditions),
    ]
    if of_messages:
        lines += [
            "",
            "![Bars for each server under each workload, as in the tables](report.svg)",
            "",
            "## Ratio to plain Trio",
            "",
            "Above 1 is better, of memory too.",
            "",
            *_overview(of_messages),
        ]
    lines += ["", "## Each workload", "", *_LEGEND.splitlines()]
    for workload, rows in of_messages.items():
        lines += ["", *workload_table(workload, rows)]
    if of_requests:
        lines += ["", *requests_section(of_requests)]
    if failures or skipped:
        lines += ["", "## Without figures", ""]
        lines += [
            f"- `{server}` under `{workload}` {reason}"
            for (server, workload), reason in failures.items()
        ]
        lines += [f"- `{name}` is skipped: {why}" for name, why in skipped.items()]
    return "\n".join([*lines, "", *_NOTES.splitlines()]) + "\n"


def _conditions(conditions: Conditions) -> Iterator[str]:
    machine = conditions.machine
    libraries = ", ".join(f"{name} {v}" for name, v in machine.libraries.items())
    cores = (
        "server and client on a core each, always the same"
        if conditions.pinned
        else "server and client wherever the system put them"
    )
    yield "| | |"
    yield "|---|---|"
    yield f"| Date | {conditions.date} |"
    yield f"| Processor | {machine.processor}, {machine.cores} cores |"
    yield f"| System | {machine.system} |"
    yield f"| Python | {machine.python} |"
    yield f"| Libraries | {libraries} |"
    yield f"| Redis | {machine.redis} |"
    yield (
        f"| Runs | {conditions.rounds} rounds, in each every server once, in another "
        f"order; {conditions.seconds:g} s each; {cores} |"
    )


def _overview(table: Mapping[Workload, Sequence[Figures]]) -> Iterator[str]:
    servers: dict[str, dict[str, str]] = {}
    for workload, rows in table.items():
        for row in rows:
            cell = f"{row.ratio.median:.2f}" if row.ratio is not None else "?"
            servers.setdefault(row.server, {})[workload.name] = cell
    names = [workload.name for workload in table]
    yield "| | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for server, cells in sorted(
        servers.items(), key=lambda item: (not item[0].startswith("trio"), item[0])
    ):
        row_cells = " | ".join(cells.get(name, "") for name in names)
        yield f"| {server} | {row_cells} |"
