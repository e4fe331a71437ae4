"""Where Trio's private names are gone, what still works works, and the rest is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import types, warnings
import trio

trio._core._run = types.SimpleNamespace()  # a Trio that has other names
warnings.simplefilter("always")

from trio_tcp.testing.simulation import (
    ScheduleUnavailableError, ScheduleWarning, check_deterministic, run_simulation
)

async def program(net):
    await trio.sleep(5)
    return "ran"

with warnings.catch_warnings(record=True) as caught:
    for seed in range(3):
        assert run_simulation(program, seed=seed).value == "ran"
[warning] = caught
assert warning.category is ScheduleWarning, warning
assert warning.filename == __file__, warning.filename
print(warning.message)
try:
    check_deterministic(program)
except ScheduleUnavailableError as error:
    print(error)
"""


def test_without_them_simulations_run_and_determinism_is_refused(
    tmp_path: Path,
) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, "utf-8")
    done = subprocess.run(
        [sys.executable, script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    warned, refused = done.stdout.splitlines()
    for text in (warned, refused):
        assert "_ALLOW_DETERMINISTIC_SCHEDULING" in text
    assert "may not come back with its seed" in warned
    assert "may differ" in refused
