"""Every server does what it announces: it starts, and answers in its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._catalog import FOLDERS, ServerProgram
from benchmarks._processes import CannotStart, running
from benchmarks._workloads import WORKLOADS
from benchmarks.load._loop import Loop
from benchmarks.load._measure import STARTERS
from tests.benchmarks.programs import SERVERS, program

ENOUGH = 20
OF_REDIS = ("key_value", "requester")
"""For them, see test_redis.py."""


def uses_uvloop(server: ServerProgram) -> bool:
    """Say so: the same program runs on asyncio, and the tests do without uvloop."""
    return "uvloop" in server.args


every_server = pytest.mark.parametrize(
    "server",
    [s for s in SERVERS if not uses_uvloop(s) and s.kind not in OF_REDIS],
    ids=lambda server: f"{server.name}-{server.kind}",
)


@every_server
def test_it_answers(server: ServerProgram) -> None:
    """The clients compare what comes back with what they have sent."""
    workload = next(w for w in WORKLOADS.values() if w.kind == server.kind)
    few = replace(workload, connections=2)
    with running(server) as (port, _), Loop() as loop:
        STARTERS[workload.traffic](loop, port, few)
        loop.run_until(lambda: loop.operations >= ENOUGH)


def test_there_is_a_program_in_each_file() -> None:
    announced = {server.path for server in SERVERS}
    assert announced == {path for folder in FOLDERS for path in folder.glob("*.py")}


def test_no_two_servers_of_a_kind_have_one_name() -> None:
    names = [(server.name, server.kind) for server in SERVERS]
    assert len(set(names)) == len(names)


def test_each_server_has_a_workload() -> None:
    for server in SERVERS:
        assert any(server.takes(workload) for workload in WORKLOADS.values())
        assert server.only <= WORKLOADS.keys()


def test_whom_to_compare_with_is_there_everywhere() -> None:
    for workload in WORKLOADS.values():
        names = [server.name for server in SERVERS if server.takes(workload)]
        assert {workload.baseline, "trio_tcp"} <= set(names)


def test_a_missing_library_is_told(tmp_path: Path) -> None:
    missing = program(tmp_path, "# lab: missing\nimport not_installed_here\n")
    with pytest.raises(CannotStart, match="No module named 'not_installed_here'"):
        with running(missing):
            raise AssertionError


def test_a_server_that_ends_without_a_word_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="says nothing"):
        with running(program(tmp_path, "# lab: silent\n")):
            raise AssertionError
