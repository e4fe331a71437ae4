"""How faults are spelled in traces, plans and pictures."""

from __future__ import annotations

import socket

import pytest

from trio_tcp.testing import faults

SPELLED = {
    "Bandwidth(4000)": faults.Bandwidth(4000),
    "BlackHole()": faults.BlackHole(),
    "Coalesce(0.5)": faults.Coalesce(0.5),
    "Crash()": faults.Crash(),
    "Cut(after_bytes=0)": faults.Cut(after_bytes=0),
    "Cut(after_seconds=1.5, silently=True)": faults.Cut(
        after_seconds=1.5, silently=True
    ),
    "DnsFailure()": faults.DnsFailure(),
    "DnsFailure('api.example')": faults.DnsFailure("api.example"),
    "DnsFailure(error=EAI_FAIL)": faults.DnsFailure(error=socket.EAI_FAIL),
    "DnsFailure('x', error=EAI_NONAME)": faults.DnsFailure(
        "x", error=socket.EAI_NONAME
    ),
    "FailNext(1)": faults.FailNext(),
    "FailNext(2, error='reset')": faults.FailNext(2, error="reset"),
    "FullBacklog()": faults.FullBacklog(),
    "Hold()": faults.Hold(),
    "Latency(0.2)": faults.Latency(0.2),
    "Latency(0.2, jitter=0.1)": faults.Latency(0.2, jitter=0.1),
    "Loss(0.1)": faults.Loss(0.1),
    "Partition()": faults.Partition(),
    "Partition([['a', 'b'], ['c']])": faults.Partition([["a", "b"], ["c"]]),
    "Pause()": faults.Pause(),
    "Refuse()": faults.Refuse(),
    "Reset()": faults.Reset(),
    "ShortWrites(1)": faults.ShortWrites(),
    "Slice(1)": faults.Slice(),
    "Slice(1, 9)": faults.Slice(1, 9),
    "SliceAt([3, 7])": faults.SliceAt([7, 3]),
    "Stall()": faults.Stall(),
}


def test_every_kind_is_among_these() -> None:
    names = {name for name in faults.__all__ if hasattr(getattr(faults, name), "begin")}
    assert names - {"Fault"} == {text.partition("(")[0] for text in SPELLED}


@pytest.mark.parametrize("text", SPELLED)
def test_a_fault_is_spelled_as_one_would_write_it(text: str) -> None:
    assert str(SPELLED[text]) == text
