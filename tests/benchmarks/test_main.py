"""The whole program, as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = [sys.executable, "-m", "benchmarks"]
SERVER_AND_LOAD = 2
SECONDS = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""


def test_it_writes_a_report_and_a_picture(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *BENCHMARKS,
            "--only=pp1",
            "--servers=trio_plain,trio_tcp",
            "--rounds=1",
            "--seconds=0.2",
            f"--output={tmp_path / 'new'}",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    page = (tmp_path / "new" / "report.md").read_text(encoding="utf-8")
    assert "### pp1" in page
    assert page.count("\n| trio_tcp |") == 2
    assert "</svg>" in (tmp_path / "new" / "report.svg").read_text(encoding="utf-8")
    assert done.stdout == f"{tmp_path / 'new' / 'report.md'}\n"


def test_names_that_it_does_not_know_are_an_error() -> None:
    done = subprocess.run(
        [*BENCHMARKS, "--only", "pp65", "--servers", "nobody"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "unknown: pp65, nobody" in done.stderr


def test_what_needs_a_missing_program_is_skipped(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BENCHMARKS, "--only=kv1,ask1", f"--output={tmp_path / 'new'}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.stderr.splitlines() == [
        "kv1 is skipped: the program redis-benchmark is not installed",
        "ask1 is skipped: the program redis-server is not installed",
    ]
    page = (tmp_path / "new" / "report.md").read_text(encoding="utf-8")
    assert "- `kv1` is skipped" in page
    assert "## Requests and replies" not in page


def children_of(pid: int) -> list[int]:
    """Ask the system which processes somebody has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], check=False, capture_output=True, text=True
    )
    return [int(word) for word in found.stdout.split()]


def has_ended(pid: int) -> bool:
    """Ask the system; its parent need not have noticed (ps(1): Z)."""
    found = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() in {"", "X", "Z"}


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_all_that_it_has_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [
            *BENCHMARKS,
            "--only=pp1",
            "--servers=trio_plain",
            "--seconds=60",
            f"--output={tmp_path}",
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while len(children := children_of(process.pid)) < SERVER_AND_LOAD:
                assert process.poll() is None
            process.send_signal(number)
            assert process.wait(SECONDS) == 130
        finally:
            process.kill()
    # Those that are killed need a moment; those that are not would stay for longer.
    give_up = time.monotonic() + SECONDS
    while not all(map(has_ended, children)):
        assert time.monotonic() < give_up
    assert list(tmp_path.iterdir()) == []
