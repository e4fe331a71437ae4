from __future__ import annotations

import pytest

from benchmarks._figures import figures_of
from benchmarks._machine import Machine
from benchmarks._report import Conditions, report
from benchmarks._workloads import WORKLOADS
from tests.benchmarks.samples import memory, rounds

MACHINE = Machine(
    processor="Some Processor",
    cores=2,
    system="Linux 6.1 (x86_64)",
    python="CPython 3.11.7",
    libraries={"trio": "0.35.0", "uvloop": "not installed"},
    redis="7.0.15",
)
SAMPLES = [
    *rounds("pp64", "trio_tcp", 24_000, 25_000, 30_000),
    *rounds("pp64", "trio_plain", 10_000, 12_500, 12_500),
    *rounds("bcast", "trio_tcp", 100_000),
    memory("trio_tcp", 4.5),
    memory("trio_plain", 5.625),
    *rounds("kv16", "trio_tcp", 30_000, 40_000, 50_000),
    *rounds("kv16", "asyncio_streams", 20_000, 25_000, 20_000),
    *rounds("ask10", "trio_tcp", 40_000),
    *rounds("ask10", "coredis", 10_000),
    *rounds("ask1", "trio_tcp", 10_000),
]


NAMES = ["pp64", "pipe", "idle", "bcast", "kv1", "kv16", "ask1", "ask10"]


def page(*, pinned: bool = True) -> str:
    workloads = [WORKLOADS[name] for name in NAMES]
    return report(
        Conditions(
            machine=MACHINE,
            date="2026-11-24 12:00 UTC",
            rounds=3,
            seconds=0.6,
            pinned=pinned,
        ),
        {workload: figures_of(workload, SAMPLES) for workload in workloads},
        {("uvloop_streams", "pp64"): "does not start: No module named 'uvloop'"},
        {"kv1": "the program redis-benchmark is not installed"},
    )


@pytest.mark.parametrize(
    "line",
    [
        "| Processor | Some Processor, 2 cores |",
        "| System | Linux 6.1 (x86_64) |",
        "| Python | CPython 3.11.7 |",
        "| Libraries | trio 0.35.0, uvloop not installed |",
        "| Redis | 7.0.15 |",
        "| | pp64 | idle | bcast |",
        "| trio_tcp | 2.00 | 1.25 | ? |",
        "| trio_tcp | 100,000 | ±0% |  | 50,000 | 50% | 25% | 12.5 |",
        "| trio_tcp | 25,000 | ±12% | 2.00 (2.00 to 2.40) | 12,500 | 50% | 25% |",
        "| trio_tcp | 4.5 | 1.25 (1.25 to 1.25) |",
        "- `uvloop_streams` under `pp64` does not start: No module named 'uvloop'",
        "- `kv1` is skipped: the program redis-benchmark is not installed",
        "## Requests and replies",
        "| | kv16, CPU | kv16, wall |",
        "| trio_tcp | 2.00 | 2.00 |",
        "#### kv16",
        "| trio_tcp | 40,000 | ±25% | 2.00 (1.50 to 2.50) | 20,000 | 50% | 25% |",
        "| | ask1, CPU | ask1, wall | ask10, CPU | ask10, wall |",
        "| trio_tcp | ? | ? | 4.00 | 4.00 |",
        "| coredis |  |  | 1.00 | 1.00 |",
    ],
)
def test_it_has_this_line(line: str) -> None:
    assert line in page().splitlines()


def test_it_shows_the_picture() -> None:
    assert "](report.svg)" in page()


def test_a_workload_without_samples_has_no_table() -> None:
    assert "### pipe" not in page()


def test_it_says_where_the_processes_ran() -> None:
    assert "on a core each" in page()
    assert "wherever the system put them" in page(pinned=False)


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    columns = 0
    for line in page().splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        columns = columns or line.count("|")
        assert line.count("|") == columns


def test_this_machine_is_described() -> None:
    machine = Machine.this()
    assert machine.processor
    assert machine.cores >= 1
    assert machine.libraries["trio-tcp"] != "not installed"
