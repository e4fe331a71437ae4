"""The table of the page on performance has the figures of the report."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.docs.page import ROOT

PAGE: Final = (ROOT / "docs" / "performance" / "index.md").read_text(encoding="utf-8")
REPORT: Final = (ROOT / "benchmarks" / "report.md").read_text(encoding="utf-8")

SERVERS: Final = {
    "plain Trio": "trio_plain",
    "trio_tcp": "trio_tcp",
    "trio_tcp, `respond`": "trio_tcp_respond",
    "AnyIO on asyncio": "anyio_asyncio",
    "asyncio, streams": "asyncio_streams",
    "asyncio, protocol": "asyncio_protocol",
    "uvloop, streams": "uvloop_streams",
    "uvloop, protocol": "uvloop_protocol",
}
WORKLOADS: Final = {
    "1 client": "pp1",
    "64 clients": "pp64",
    "1000 clients": "pp1000",
    "pipelined": "pipe",
    "64 KiB": "bulk",
    "connect, ask, close": "churn",
    "one to 1000": "bcast",
    "TLS": "tls",
}


def table(text: str, first_heading: str) -> dict[str, dict[str, str]]:
    """Return the rows of the table that has a heading for its first figure."""
    found = re.search(rf"^\| \| {first_heading} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert found is not None
    lines = [line.strip("| \n") for line in found[0].splitlines()]
    headings = [heading.strip() for heading in lines[0].split("|")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[2:]]
    # An empty cell at the end is gone with the rim of the table: it stays away.
    return {row[0]: dict(zip(headings, row[1:], strict=False)) for row in rows}


@pytest.mark.parametrize("server", SERVERS)
def test_a_row_has_the_ratios_of_the_report(server: str) -> None:
    """Of the last ``make bench``; where that has changed, the page has to."""
    measured = table(REPORT, "pp1")[SERVERS[server]]
    shown = {
        name: ratio for name, ratio in table(PAGE, "1 client")[server].items() if ratio
    }
    assert shown == {
        name: measured[workload]
        for name, workload in WORKLOADS.items()
        if measured.get(workload)
    }
