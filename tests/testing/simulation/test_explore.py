"""Many seeds in several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import pytest
import trio

from tests.testing.simulation.programs import die, fail_by_chance
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import explore, run_simulation

SEEDS = range(60)


def failing_seeds() -> list[int]:
    failing: list[int] = []
    for seed in SEEDS:
        try:
            run_simulation(fail_by_chance, seed=seed)
        except ValueError:
            failing.append(seed)
    return failing


def test_failures_come_in_the_order_of_the_seeds_whoever_found_them() -> None:
    here = explore(fail_by_chance, SEEDS, jobs=1)
    there = explore(fail_by_chance, SEEDS, jobs=2)
    assert [failure.seed for failure in here.failures] == failing_seeds()
    assert 0 < len(here.failures) < len(SEEDS)
    assert [(f.seed, f.error) for f in there.failures] == [
        (f.seed, f.error) for f in here.failures
    ]
    assert (there.seeds, there.interrupted) == (len(SEEDS), False)


def test_a_failure_has_the_traceback_and_the_seed() -> None:
    failure = explore(fail_by_chance, SEEDS, jobs=1).failures[0]
    assert failure.error.startswith("ValueError: drew 0.")
    assert "in fail_by_chance" in failure.traceback
    assert f"seed={failure.seed}" in failure.traceback


def test_the_report_counts_and_shows_the_first_failure_in_full() -> None:
    exploration = explore(fail_by_chance, SEEDS, jobs=1)
    report = str(exploration)
    assert report.startswith(f"{len(exploration.failures)} of 60 seeds failed\n")
    assert exploration.failures[0].traceback in report


async def fail_with_more_to_say(net: VirtualNetwork) -> None:
    error = ValueError("on one line\nand on another")
    error.add_note("a note")
    raise error


def test_the_report_has_one_line_a_failure_and_all_of_the_first() -> None:
    exploration = explore(fail_with_more_to_say, range(3), jobs=1)
    lines = str(exploration).splitlines()
    assert lines[1:4] == [f"seed {seed}: ValueError: on one line" for seed in range(3)]
    assert lines[4] == "The first in full:"
    assert {"and on another", "a note"} < set(lines[5:])


def test_a_check_is_green_when_no_seed_failed_and_else_has_the_report() -> None:
    explore(sleep_for_a_second, range(3), jobs=1).check()
    exploration = explore(fail_by_chance, SEEDS, jobs=1)
    with pytest.raises(AssertionError) as caught:
        exploration.check()
    assert str(caught.value) == str(exploration)


async def sleep_for_a_second(net: VirtualNetwork) -> None:
    await trio.sleep(1)


def test_in_this_process_the_function_may_be_any() -> None:
    seen: list[str] = []

    async def program(net: VirtualNetwork) -> None:
        seen.append("ran")

    assert explore(program, [3, 1, 2], jobs=1).seeds == 3
    assert seen == ["ran"] * 3


def test_a_function_that_other_processes_cannot_import_is_refused() -> None:
    async def local(net: VirtualNetwork) -> None:
        pass

    with pytest.raises(TypeError, match="top of a module"):
        explore(local, range(4), jobs=2)


def test_a_function_that_only_this_process_has_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hidden(net: VirtualNetwork) -> None:
        pass

    hidden.__qualname__ = "hidden"
    monkeypatch.setitem(globals(), "hidden", hidden)
    with pytest.raises(TypeError, match="top of a module"):
        explore(hidden, range(4), jobs=2)


def test_what_the_function_takes_may_be_bound() -> None:
    program = partial(sleep_for, seconds=5000)
    exploration = explore(program, range(4), jobs=2, time_limit=1000)
    assert [failure.seed for failure in exploration.failures] == [0, 1, 2, 3]
    assert "SimulationTimeout" in exploration.failures[0].error


async def sleep_for(net: VirtualNetwork, seconds: float) -> None:
    await trio.sleep(seconds)


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(BrokenProcessPool):
        explore(die, range(4), jobs=2)


def test_ctrl_c_in_this_process_leaves_what_was_found() -> None:
    runs: list[str] = []

    async def program(net: VirtualNetwork) -> None:
        runs.append("ran")
        if len(runs) == 5:
            raise KeyboardInterrupt
        raise ValueError("found")

    exploration = explore(program, range(10), jobs=1)
    assert exploration.interrupted
    assert exploration.seeds == len(exploration.failures) == 4
    assert "interrupted" in str(exploration)


def test_a_search_that_was_interrupted_is_not_green() -> None:
    async def program(net: VirtualNetwork) -> None:
        raise KeyboardInterrupt

    exploration = explore(program, range(10), jobs=1)
    assert not exploration.failures
    with pytest.raises(AssertionError, match="0 of 0 seeds failed, then interrupted"):
        exploration.check()


INTERRUPTED = """
if __name__ == "__main__":
    from tests.testing.simulation.programs import take_real_time
    from trio_tcp.testing.simulation import explore
    exploration = explore(take_real_time, range(100_000), jobs=2)
    print("interrupted", exploration.interrupted, exploration.seeds < 100_000)
"""


def test_ctrl_c_ends_the_other_processes() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().splitlines()[-1] == "interrupted True True"
    assert process.returncode == 0


def test_the_other_processes_end_with_one_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.kill()
        # All of them can write to the pipe, so it ends with the last of them.
        assert set(process.stdout.read().splitlines()) <= {"running"}


BAR = """
from tests.testing.simulation.programs import fail_by_chance
from trio_tcp.testing.simulation import explore
explore(fail_by_chance, range(60), jobs=1)
"""


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_terminal_shows_how_far_it_is_if_rich_is_there(is_installed: bool) -> None:
    hide = "" if is_installed else "import sys; sys.modules['rich'] = None\n"
    terminal, inner = os.openpty()
    subprocess.run(
        [sys.executable, "-c", hide + BAR],
        check=True,
        stderr=inner,
        env={**os.environ, "PYTHONPATH": ".", "TERM": "xterm", "COLUMNS": "100"},
    )
    os.write(inner, b"end")
    shown = ""
    while not shown.endswith("end"):
        shown += os.read(terminal, 10_000).decode()
    os.close(inner)
    os.close(terminal)
    assert ("60/60" in shown) is is_installed
    assert (f"{len(failing_seeds())} failed" in shown) is is_installed
