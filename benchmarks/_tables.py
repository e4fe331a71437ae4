"""The figures of one workload as a table of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks._chart import number
from benchmarks._figures import Figures
from benchmarks._workloads import Workload

__all__ = ["workload_table"]


def workload_table(workload: Workload, rows: Sequence[Figures]) -> Iterator[str]:
    """Yield the lines of one workload: what it is, and a row for each server."""
    yield f"### {workload.name}"
    yield ""
    if workload.less_is_better:
        yield f"{workload.title}: {workload.unit}, less is better."
        yield ""
        yield "| server | figure | ratio |"
        yield "|---|---:|---:|"
        for row in rows:
            yield f"| {row.server} | {number(row.value)} | {_ratio(row)} |"
        return
    yield f"{workload.title}: {workload.unit}."
    yield ""
    timed = any(row.p99_seconds is not None for row in rows)
    yield (
        "| server | figure | spread | ratio | per second on the wall | server busy "
        "| client busy |" + " p99, ms |" * timed
    )
    yield "|---|---:|---:|---:|---:|---:|---:|" + "---:|" * timed
    for row in rows:
        cells: tuple[str, ...] = (
            row.server,
            number(row.value),
            f"±{row.spread:.0%}",
            _ratio(row),
            "" if row.per_second is None else number(row.per_second),
            _share(row.server_busy),
            _share(row.client_busy),
        )
        if timed:
            p99 = row.p99_seconds
            cells += ("" if p99 is None else number(p99 * 1000),)
        yield f"| {' | '.join(cells)} |"


def _ratio(row: Figures) -> str:
    if row.ratio is None:
        return ""
    low, high = row.ratio.lowest, row.ratio.highest
    return f"{row.ratio.median:.2f} ({low:.2f} to {high:.2f})"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
