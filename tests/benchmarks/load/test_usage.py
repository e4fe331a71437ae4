from __future__ import annotations

import os
import time

import pytest

from benchmarks.load._usage import cpu_seconds, resident_kib, seconds_of_ps


def test_cpu_seconds_are_those_of_the_process() -> None:
    before = time.process_time()
    measured = cpu_seconds(os.getpid())
    # Hundredths of a second, where the system counts in them.
    assert before - 0.01 <= measured <= time.process_time() + 0.01


def test_memory_is_that_of_the_process() -> None:
    before = resident_kib(os.getpid())
    pages = b"x" * (64 << 20)
    grown = resident_kib(os.getpid()) - before
    assert 60 << 10 < grown < 80 << 10
    assert len(pages) == 64 << 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00.52\n", 0.52),
        (" 2:03.50", 123.5),
        ("00:02:03", 123),
        ("1:00:00", 3600),
        ("2-01:00:00", 49 * 3600),
    ],
)
def test_it_reads_the_times_of_ps(text: str, seconds: float) -> None:
    assert seconds_of_ps(text) == pytest.approx(seconds)
