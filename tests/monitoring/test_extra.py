"""Without the extra, the package is there, and says what is missing when it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trio_tcp.monitoring

PROGRAM = """
import sys
sys.modules[{missing!r}] = None
from trio_tcp import monitoring
monitoring.JsonFormatter, monitoring.Readiness
try:
    monitoring.{name}
except ModuleNotFoundError as error:
    print(error, error.name)
"""


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Metrics", "prometheus_client"),
        ("exposition", "prometheus_client"),
        ("merge", "prometheus_client"),
        ("serve_status", "h11"),
    ],
)
def test_what_needs_the_extra_names_it(name: str, missing: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name, missing=missing)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == (
        f"trio_tcp.monitoring.{name} needs {missing}: "
        f"pip install 'trio-tcp[monitoring]' {missing}\n"
    )


def test_what_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Metric'"):
        trio_tcp.monitoring.__getattr__("Metric")
