"""For pytest: the fixture `virtual_network`, and traces beside the report of a failure.

pytest imports this in every run of every project where the package is installed:
nothing of the package is imported before a test asks for it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from trio_tcp.testing.network import VirtualNetwork
    from trio_tcp.testing.simulation._last_failure import FailedRun

__all__: list[str] = []

_OPTION: Final = "trio_tcp_traces"
_LAST_FAILURE: Final = "trio_tcp.testing.simulation._last_failure"
_RUN: Final = pytest.StashKey["FailedRun"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add where traces go."""
    what = "folder for the traces of simulations that fail"
    group = parser.getgroup("trio_tcp")
    group.addoption("--trio-tcp-traces", dest=_OPTION, metavar="DIR", help=what)
    parser.addini(_OPTION, f"{what} (default: a folder in pytest's cache)", default="")


@pytest.fixture
def _pytest_trio(request: pytest.FixtureRequest) -> None:
    if not request.config.pluginmanager.has_plugin("trio"):
        pytest.fail(
            "the fixture virtual_network is for async tests that pytest-trio runs: "
            "install it, or use trio_tcp.testing.simulated, which needs no plugin",
            pytrace=False,
        )


@pytest.fixture
async def virtual_network(
    _pytest_trio: None, request: pytest.FixtureRequest
) -> AsyncGenerator[VirtualNetwork, None]:
    """Open a `VirtualNetwork` around a test, on the clock that the test has.

    With pytest-trio's ``autojump_clock``, its seconds take no time. Only the network
    is seeded, by the environment variable ``TRIO_TCP_SEED`` or 0: the order of tasks
    is Trio's. `trio_tcp.testing.simulated` makes tests that repeat.
    """
    from trio_tcp.testing.network import VirtualNetwork  # noqa: PLC0415 - see the top
    from trio_tcp.testing.simulation._last_failure import (  # noqa: PLC0415 - likewise
        FailedRun,
    )
    from trio_tcp.testing.simulation._simulated import (  # noqa: PLC0415 - likewise
        chosen_seeds,
    )

    seed = chosen_seeds(1)[0]
    network = VirtualNetwork(seed=seed)
    request.node.stash[_RUN] = FailedRun(seed, network.trace)
    async with network:
        yield network


def pytest_runtest_setup() -> None:
    """Forget the simulations of the test before."""
    module = sys.modules.get(_LAST_FAILURE)
    if module is not None:
        module.forget_last_failure()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the trace of a simulation that failed, and say where it is."""
    report = yield
    if call.when == "call" and report.failed:
        run = _failed_run(item)
        if run is not None:
            report.sections.append(("virtual network", _write(run, item)))
    return report


def _failed_run(item: pytest.Item) -> FailedRun | None:
    module = sys.modules.get(_LAST_FAILURE)
    run: FailedRun | None = None if module is None else module.last_failure()
    return run or item.stash.get(_RUN, None)


def _write(run: FailedRun, item: pytest.Item) -> str:
    """Write a trace in every form, and return a text that says so."""
    test = re.sub(r"[^\w.-]+", "_", item.nodeid)[-100:]
    try:
        folder = _folder(item.config) / test
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"seed-{run.seed}"
        run.trace.to_text(path.with_suffix(".txt"))
        run.trace.to_html(path.with_suffix(".html"), title=f"{test}, seed {run.seed}")
        run.trace.to_pcap(path.with_suffix(".pcap"))
    except OSError as error:
        return f"The trace could not be written: {error}"
    return (
        f"Seed {run.seed}, {len(run.trace)} segments. What was sent, for reading, for "
        "the browser, and for Wireshark:\n"
        + "\n".join(f"{path}{ending}" for ending in (".txt", ".html", ".pcap"))
    )


def _folder(config: pytest.Config) -> Path:
    named = str(config.getoption(_OPTION) or config.getini(_OPTION))
    if named:
        return config.invocation_params.dir / named
    cache = getattr(config, "cache", None)  # -p no:cacheprovider takes it away
    if cache is not None:
        folder: Path = cache.mkdir("trio_tcp")
        return folder
    return Path(tempfile.mkdtemp(prefix="trio_tcp_"))
