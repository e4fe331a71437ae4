"""The plugin in pytest runs of its own: a fixture, and traces beside failures."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import pytest_trio_tcp

pytest_plugins = ["pytester"]

ECHO = """
import pytest
import trio
from trio_tcp.testing.simulation import run_simulation, simulated

async def echo(net):
    async def serve(stream):
        async for chunk in stream:
            await stream.send_all(chunk)

    net.host("server").start(trio.serve_tcp, serve, 80)
    await net.settle()
    async with await trio.open_tcp_stream("server", 80) as stream:
        await stream.send_all(b"hello")
        return await stream.receive_some()
"""


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*args)


def test_the_fixture_is_an_open_network_with_any_clock(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        ECHO
        + """
@pytest.mark.trio
async def test_with_virtual_time(virtual_network, autojump_clock):
    virtual_network.set_links(latency=1000)
    assert await echo(virtual_network) == b"hello"
    assert trio.current_time() >= 3000

@pytest.mark.trio
async def test_with_real_time(virtual_network):
    assert await echo(virtual_network) == b"hello"
"""
    )
    run(pytester).assert_outcomes(passed=2)


def test_without_pytest_trio_the_fixture_says_what_it_needs(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("async def test_it(virtual_network): pass")
    result = run(pytester, "-p", "no:trio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*virtual_network is for async tests*pytest-trio*"])


FAILING = (
    ECHO
    + """
@simulated(seeds=10)
async def test_fails(net):
    assert await echo(net) == b"goodbye"
"""
)


@pytest.mark.parametrize("by", ["option", "ini", "the cache", "no cache"])
def test_a_failure_leaves_its_trace_where_the_report_says(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(pytester.path))
    pytester.makepyfile(FAILING)
    if by == "ini":
        pytester.makeini("[pytest]\ntrio_tcp_traces = traces")
    options = {
        "option": ["--trio-tcp-traces=traces"],
        "no cache": ["-p", "no:cacheprovider"],
    }
    result = run(pytester, *options.get(by, []))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*virtual network*", "Seed 0, * segments.*"])
    lines = [line for line in result.outlines if "/seed-0." in line]
    files = {Path(line).suffix: Path(line) for line in lines}
    assert sorted(files) == [".html", ".pcap", ".txt"]
    assert "SYN" in files[".txt"].read_text("utf-8")
    assert "test_fails" in files[".html"].read_text("utf-8")
    assert files[".pcap"].read_bytes()[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    if by in ("option", "ini"):
        assert all(
            path.is_relative_to(pytester.path / "traces") for path in files.values()
        )


def test_the_report_has_the_line_that_replays_the_failure(
    pytester: pytest.Pytester,
) -> None:
    path = pytester.makepyfile(
        ECHO
        + """
@simulated(seeds=100)
async def test_fails(net):
    await echo(net)
    assert trio.current_time() < 0 or len(done) < 3
    done.append(1)

done = []
"""
    )
    result = run(pytester)
    line = f'TRIO_TCP_SEED=3 python -m pytest "{path.name}::test_fails"'
    result.stdout.fnmatch_lines([f"*{line}"])


def test_the_fixtures_trace_is_written_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ECHO
        + """
@pytest.mark.trio
async def test_fails(virtual_network, autojump_clock):
    assert await echo(virtual_network) == b"goodbye"
"""
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Seed 0, * segments.*", "*seed-0.pcap"])


def test_a_failure_after_another_tests_simulation_has_no_trace(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        ECHO
        + """
async def fail(net):
    raise KeyError

def test_one():
    with pytest.raises(KeyError):
        run_simulation(fail)

def test_other():
    assert False
"""
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*virtual network*")


def test_a_folder_that_cannot_be_written_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    pytester.makefile(".txt", file="in the way")
    result = run(pytester, "--trio-tcp-traces=file.txt")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["The trace could not be written: *"])


def test_pytest_runs_without_the_plugin_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess("-p", "no:trio_tcp")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*seed-0.pcap")


def test_the_plugin_by_itself_imports_neither_trio_nor_the_network() -> None:
    """By its path: what its package imports is the package's own affair."""
    path = pytest_trio_tcp.__file__
    program = (
        f"import runpy, sys; runpy.run_path({path!r}); "
        "assert not {'trio', 'attrs', 'trio_tcp'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
