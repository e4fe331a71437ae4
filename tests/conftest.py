"""What every run of the suite has: hypothesis profiles, and no silent skips in CI."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, settings

import trio_tcp

if TYPE_CHECKING:
    from collections.abc import Generator

# The default owes nothing to luck: the same examples on every machine, every time.
settings.register_profile("ci", derandomize=True, database=None, deadline=None)
# A search for new failures, to be run by hand:
# HYPOTHESIS_PROFILE=thorough make test ARGS=--timeout=0
settings.register_profile(
    "thorough",
    max_examples=10_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str:
    """Say which package is tested: that of this tree, or an installed one."""
    return f"trio_tcp: {version('trio-tcp')}, in {trio_tcp.__path__[0]}"


_skips_fail = os.environ.get("TRIO_TCP_NO_SKIPS") == "1"

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def _fail_if_skipped(report: _Report) -> _Report:
    """Turn a skip into a failure where TRIO_TCP_NO_SKIPS=1 forbids skips.

    An expected failure is reported as skipped too, and may stay: it did run.
    """
    if _skips_fail and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: no test may be skipped here. {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """See a skip by a mark, or from inside a test or fixture."""
    return _fail_if_skipped((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    """See a skip of a whole module."""
    return _fail_if_skipped((yield))
