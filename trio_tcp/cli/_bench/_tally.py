"""What is counted while the load runs."""

from __future__ import annotations

from collections import Counter
from typing import final

from trio_tcp.cli._bench._failures import kind_of
from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import Stretch

__all__ = ["Tally"]


@final
class Tally:
    """The counters of one run.

    What each reply adds is a number at the end of a list, and nothing else: `fold`
    takes the lists now and then.

    Attributes:
        begin: from which moment on requests count.
        latencies: seconds from when they were due to their replies, not yet folded.
        uncorrected: seconds from when they were sent; likewise.
        lateness: seconds that they were sent too late though they could have been.
        errors: how often what went wrong.
        unanswered: requests without a reply.
        last_reply: when the last came; known at least when no other is awaited.
    """

    __slots__ = (
        "all_latencies",
        "all_lateness",
        "all_uncorrected",
        "begin",
        "errors",
        "last_reply",
        "latencies",
        "lateness",
        "over_time",
        "unanswered",
        "uncorrected",
    )

    def __init__(self, begin: float) -> None:
        self.begin: float = begin
        self.latencies: list[float] = []
        self.uncorrected: list[float] = []
        self.lateness: list[float] = []
        self.all_latencies: Histogram = Histogram()
        self.all_uncorrected: Histogram = Histogram()
        self.all_lateness: Histogram = Histogram()
        self.errors: Counter[str] = Counter()
        self.unanswered: int = 0
        self.last_reply: float = begin
        self.over_time: list[Stretch] = []

    def fail(self, error: Exception) -> None:
        """Count what went wrong."""
        self.errors[kind_of(error)] += 1

    def fold(self, now: float) -> None:
        """Take what the lists have, as what happened since the last time."""
        if now <= self.begin:
            return
        slowest = max(self.latencies, default=0.0)
        stretch = Stretch(now - self.begin, len(self.latencies), slowest)
        self.over_time.append(stretch)
        self.all_latencies.add(self.latencies)
        self.all_uncorrected.add(self.uncorrected)
        self.all_lateness.add(self.lateness)
        for values in (self.latencies, self.uncorrected, self.lateness):
            values.clear()
