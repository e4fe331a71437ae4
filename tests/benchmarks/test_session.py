from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from benchmarks._processes import Cores
from benchmarks._session import Run, plan, run_all
from benchmarks._workloads import WORKLOADS, selected
from tests.benchmarks.programs import SERVERS, named, program

ANYWHERE = Cores(None, None)


def test_a_group_is_selected_by_its_name() -> None:
    names = [workload.name for workload in selected(["hub", "pp1"])]
    assert names[0] == "pp1"
    assert {"hub1k", "hub10k_4k_stalled", "hub_memory"} < {*names}
    assert not {"pp64", "bcast"} & {*names}
    assert not {"hub1k", "hub_memory"} & {one.name for one in selected(["main"])}


def test_a_measurement_is_as_long_as_its_workload_wants() -> None:
    """A minute, where that is what memory grows in."""
    workload = replace(WORKLOADS["pp1"], least_seconds=0.2)
    [run] = plan([workload], [named("trio_plain")], 1)
    begin = time.monotonic()
    run_all([run], warm_up=0, seconds=0.01, cores=ANYWHERE)
    assert time.monotonic() - begin >= 0.2


def test_a_plan_has_every_server_once_in_each_round_of_a_workload() -> None:
    workloads = [WORKLOADS["pp64"], WORKLOADS["bcast"]]
    runs = plan(workloads, SERVERS, 2)
    turns = [(run.round, run.workload.name) for run in runs]
    assert list(dict.fromkeys(turns)) == [
        (0, "pp64"),
        (0, "bcast"),
        (1, "pp64"),
        (1, "bcast"),
    ]
    for number in range(2):
        for workload in workloads:
            names = [
                run.server.name
                for run in runs
                if (run.round, run.workload) == (number, workload)
            ]
            expected = [s.name for s in SERVERS if s.takes(workload)]
            assert sorted(names) == sorted(expected)


def test_memory_is_measured_in_one_round() -> None:
    assert {run.round for run in plan([WORKLOADS["idle"]], SERVERS, 3)} == {0}


def test_a_session_gives_samples_and_says_why_there_are_none(tmp_path: Path) -> None:
    missing = program(tmp_path, "# lab: missing\nimport not_installed_here\n")
    runs = plan([WORKLOADS["pp1"]], [missing, named("trio_plain")], 1)
    begun: list[Run] = []
    results = run_all(runs, warm_up=0, seconds=0.2, cores=ANYWHERE, on_run=begun.append)
    assert begun == runs
    [sample] = results.samples
    assert (sample.workload, sample.server) == ("pp1", "trio_plain")
    reason = "ModuleNotFoundError: No module named 'not_installed_here'"
    assert results.failures == {("missing", "pp1"): f"does not start: {reason}"}


def test_a_server_that_answers_wrongly_is_not_tried_again(tmp_path: Path) -> None:
    hits = tmp_path / "started"
    bad = program(
        tmp_path,
        "# lab: bad\n"
        "import socket, sys\n"
        f"print('started', file=open({str(hits)!r}, 'a'))\n"
        "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n"
        "    client, _ = listener.accept()\n"
        "    if client.recv(100):\n"
        "        client.sendall(b'x' * 68)\n",
    )
    runs = plan([WORKLOADS["pp1"]], [bad], 2)
    results = run_all(runs, warm_up=0, seconds=0.2, cores=ANYWHERE)
    assert results.samples == []
    assert results.failures == {("bad", "pp1"): "fails: a reply is wrong"}
    assert hits.read_text(encoding="utf-8").split() == ["started"]
