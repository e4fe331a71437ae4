"""The part of the report about requests and replies: a small Redis, and its clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks._figures import Figures
from benchmarks._tables import workload_table
from benchmarks._workloads import Workload

__all__ = ["requests_section"]

_SERVERS: Final = """\
### Servers

The load comes from `redis-benchmark`, half SETs and half GETs. `trio_tcp` is
`examples/key_value`, a small Redis in Python, as it is. `asyncio_streams` and
`uvloop_streams` are its codec, its commands and its store on the streams of asyncio,
which answer all that has come with one write: only the networking differs, with the
timeouts and limits that trio_tcp has and they have not. `redis_server` is the real one,
in C, which tells how far all of these are from it.

Below are the ratios to `asyncio_streams`: of requests per second of the server's CPU,
and of requests per second on the wall. Above 1 is better.
"""

_CLIENTS: Final = """\
### Clients

So many tasks of one client ask a real redis-server for a key of 64 bytes, again and
again. What is compared here is the *client*: **figure** is requests per second of the
client's CPU. `trio_tcp` and `coredis`, both on Trio, have one connection for all tasks;
trio_tcp has at most 100 requests in flight on it, as by default. A connection of
`redis_py`, on asyncio, is for one task at a time: so it has its pool that lets tasks
wait, with up to 50 connections, as by default, and hiredis as its parser.

This is not like for like. `trio_tcp` is `open_requester` with the codec of the example,
in Python, and knows no more of Redis than that. The other two are whole clients, with
compiled parsers, that do more for each request: commands with types, and retries. In
`ask1` client and server wait for each other in turn: on the wall, that is how soon the
system wakes them.

Below are the ratios to `coredis`: of requests per second of the client's CPU, and of
requests per second on the wall. Above 1 is better.
"""


def requests_section(table: Mapping[Workload, Sequence[Figures]]) -> Iterator[str]:
    """Yield the lines of this part; the table has no other workloads, and some rows."""
    yield "## Requests and replies"
    for words, kind in ((_SERVERS, "key_value"), (_CLIENTS, "requester")):
        own = {w: rows for w, rows in table.items() if w.kind == kind}
        if not own:
            continue
        yield ""
        yield from words.splitlines()
        yield ""
        yield from _ratios(own)
        for workload, rows in own.items():
            title, *lines = workload_table(workload, rows)
            yield ""
            yield "#" + title
            yield from lines


def _ratios(table: Mapping[Workload, Sequence[Figures]]) -> Iterator[str]:
    cells: dict[str, dict[str, tuple[str, str]]] = {}
    for workload, rows in table.items():
        for row in rows:
            by_cpu = f"{row.ratio.median:.2f}" if row.ratio is not None else "?"
            by_wall = _wall_ratio(row, workload, rows)
            cells.setdefault(row.server, {})[workload.name] = by_cpu, by_wall
    names = [workload.name for workload in table]
    heads = [f"{name}, {of}" for name in names for of in ("CPU", "wall")]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(heads)
    for server in sorted(cells, key=lambda name: (name != "trio_tcp", name)):
        own = [cell for name in names for cell in cells[server].get(name, ("", ""))]
        yield f"| {server} | {' | '.join(own)} |"


def _wall_ratio(row: Figures, workload: Workload, rows: Sequence[Figures]) -> str:
    for other in rows:
        if other.server == workload.baseline and other.per_second and row.per_second:
            return f"{row.per_second / other.per_second:.2f}"
    return "?"
