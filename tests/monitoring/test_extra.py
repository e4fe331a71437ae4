"""Without the extra, what does not need it is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trio_tcp.monitoring


def test_what_needs_no_extra_is_there_without_it() -> None:
    program = (
        "import sys\n"
        "sys.modules['prometheus_client'] = sys.modules['h11'] = None\n"
        "from trio_tcp import monitoring\n"
        "monitoring.JsonFormatter, monitoring.Readiness\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Metric'"):
        trio_tcp.monitoring.__getattr__("Metric")
