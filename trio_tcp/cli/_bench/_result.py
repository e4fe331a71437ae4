"""What was measured, also as JSON, and put together from several processes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

import attrs

from trio_tcp.cli._bench._histogram import RELATIVE_ERROR, Histogram

__all__ = ["PERCENTS", "Ending", "Result", "Stretch", "from_json", "merged", "to_json"]

PERCENTS: Final = (0, 50, 75, 90, 95, 99, 99.9, 99.99, 100)
"""Which percentiles are shown."""

BUSY_SHARE: Final = 0.9
"""Of a core: a generator that took more was what held up the requests."""


Ending = str
"""``"complete"``; ``"interrupted"`` by a signal; ``"lost"``: the server went away."""


@attrs.frozen
class Stretch:
    """A stretch of the run, about a second or a hundredth of it.

    Attributes:
        end: seconds from where the measurement began.
        replies: that came in it.
        slowest: seconds that the slowest of them took.
    """

    end: float
    replies: int
    slowest: float


@attrs.frozen(kw_only=True)
class Result:
    """What was measured, by requests that were due after the warm-up.

    Attributes:
        mode: as in the plan.
        connections: likewise.
        in_flight: likewise.
        rate: likewise.
        ending: how it came to its end.
        seconds: from the end of the warm-up to the last reply, or to the end of the
            time that was planned, whichever is later.
        latency: of replies, from when the requests were due.
        uncorrected: of the same, from when they were sent; None in a closed loop.
        lateness: by how much requests were sent too late though a connection was
            free: what the generator itself adds to the latency; None in a closed loop.
        errors: how often what went wrong, from the first connection on.
        unanswered: requests that were sent, and whose connection ended, or whose time
            was over, before the reply came.
        unsent: requests that were due, and not sent before the time was over.
        bytes_sent: by the connections, TLS not counted.
        bytes_received: likewise.
        cpu_seconds: of this program, for each of its processes.
        over_time: the stretches.
    """

    mode: str
    connections: int
    in_flight: int
    rate: float | None
    ending: Ending
    seconds: float
    latency: Histogram
    uncorrected: Histogram | None
    lateness: Histogram | None
    errors: Counter[str]
    unanswered: int
    unsent: int
    bytes_sent: int
    bytes_received: int
    cpu_seconds: tuple[float, ...]
    over_time: tuple[Stretch, ...]

    @property
    def replies(self) -> int:
        """How many came; in one direction, how many messages were taken."""
        return self.latency.count

    @property
    def replies_per_second(self) -> float:
        """How many came in a second."""
        return self.replies / self.seconds if self.seconds > 0 else 0.0

    @property
    def busiest(self) -> float:
        """The share of a core that the busiest process of this program took."""
        return max(self.cpu_seconds) / self.seconds if self.seconds > 0 else 0.0

    @property
    def was_too_slow(self) -> bool:
        """Whether this program, and perhaps not the server, was the bottleneck."""
        return self.busiest > BUSY_SHARE

    @property
    def is_good(self) -> bool:
        """Whether it came to its end, with replies and without errors."""
        return bool(
            self.ending != "lost"
            and self.replies
            and not (self.errors or self.unanswered)
        )


def merged(results: Sequence[Result]) -> Result:
    """Put together what several processes have measured at the same time."""
    first = results[0]
    return attrs.evolve(
        first,
        connections=sum(result.connections for result in results),
        rate=None if first.rate is None else sum(r.rate or 0.0 for r in results),
        ending=max((r.ending for r in results), key=ENDINGS.index),
        seconds=max(result.seconds for result in results),
        latency=_merged([result.latency for result in results]),
        uncorrected=_merged_or_none([result.uncorrected for result in results]),
        lateness=_merged_or_none([result.lateness for result in results]),
        errors=sum((result.errors for result in results), Counter[str]()),
        unanswered=sum(result.unanswered for result in results),
        unsent=sum(result.unsent for result in results),
        bytes_sent=sum(result.bytes_sent for result in results),
        bytes_received=sum(result.bytes_received for result in results),
        cpu_seconds=tuple(cpu for result in results for cpu in result.cpu_seconds),
        over_time=tuple(
            Stretch(
                max(second.end for second in seconds if second),
                sum(second.replies for second in seconds if second),
                max(second.slowest for second in seconds if second),
            )
            for seconds in zip_longest(*(result.over_time for result in results))
        ),
    )


ENDINGS: Final = ("complete", "interrupted", "lost")


def _merged(histograms: Sequence[Histogram]) -> Histogram:
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total


def _merged_or_none(histograms: Sequence[Histogram | None]) -> Histogram | None:
    present = [histogram for histogram in histograms if histogram is not None]
    return _merged(present) if present else None


# As JSON ------------------------------------------------------------------------------


def to_json(result: Result) -> dict[str, Any]:
    """Return what `json.dumps` takes. Seconds and bytes, as the attributes say.

    Histograms have percentiles for whoever reads it, and buckets for `from_json`.
    """
    found = attrs.asdict(result, recurse=False)
    for name in ("latency", "uncorrected", "lateness"):
        found[name] = _histogram_to_json(found[name])
    found["over_time"] = [attrs.asdict(second) for second in result.over_time]
    found["replies"] = result.replies
    found["replies_per_second"] = result.replies_per_second
    found["generator_was_too_slow"] = result.was_too_slow
    return found


def _histogram_to_json(histogram: Histogram | None) -> dict[str, Any] | None:
    if histogram is None:
        return None
    has = bool(histogram.count)
    percentiles = histogram.percentiles(PERCENTS) if has else []
    return {
        "count": histogram.count,
        "total": histogram.total,
        "mean": histogram.mean if has else None,
        "least": histogram.least if has else None,
        "greatest": histogram.greatest if has else None,
        "percentiles": dict(zip(map(str, PERCENTS), percentiles, strict=False)),
        "relative_error": RELATIVE_ERROR,
        "buckets": {str(n): count for n, count in sorted(histogram.buckets.items())},
    }


def from_json(found: dict[str, Any]) -> Result:
    """Make a result of what `to_json` returned.

    Raises:
        KeyError, TypeError, ValueError: it is nothing of the kind.
    """
    names = [field.name for field in attrs.fields(Result)]
    fields = {name: found[name] for name in names}
    for name in ("latency", "uncorrected", "lateness"):
        fields[name] = _histogram_from_json(fields[name])
    fields["errors"] = Counter(fields["errors"])
    fields["cpu_seconds"] = tuple(fields["cpu_seconds"])
    fields["over_time"] = tuple(Stretch(**second) for second in fields["over_time"])
    return Result(**fields)


def _histogram_from_json(found: dict[str, Any] | None) -> Histogram | None:
    if found is None:
        return None
    return Histogram.of_buckets(
        {int(number): count for number, count in found["buckets"].items()},
        found["total"],
        math.inf if found["least"] is None else found["least"],
        found["greatest"] or 0.0,
    )
