"""Many samples as few figures: medians, spreads, and ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks._measurement import Sample
from benchmarks._workloads import Workload

__all__ = ["Figures", "Ratio", "figures_of"]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How much better a server is than the baseline; 2 is twice as good.

    Attributes:
        median: the ratio of the medians.
        lowest: the lowest ratio in one round.
        highest: the highest.
    """

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One server under one workload.

    Attributes:
        server: its name.
        rounds: how many samples there are.
        value: the median of what servers are compared by.
        lowest: the lowest sample.
        highest: the highest sample.
        ratio: to the baseline, if that was measured.
        per_second: the median on the wall, if that means anything.
        server_busy: the median share of its core that the server was using.
        client_busy: likewise the load generator.
        p99_seconds: the median of the latencies that 99 of 100 deliveries kept to.
    """

    server: str
    rounds: int
    value: float
    lowest: float
    highest: float
    ratio: Ratio | None
    per_second: float | None
    server_busy: float | None
    client_busy: float | None
    p99_seconds: float | None

    @property
    def spread(self) -> float:
        """Half of the way from the lowest to the highest, as a share of the median."""
        return (self.highest - self.lowest) / 2 / self.value if self.value else 0.0


def figures_of(workload: Workload, samples: Sequence[Sample]) -> list[Figures]:
    """Return the figures of all servers under one workload, the best first."""
    by_server: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.workload == workload.name:
            by_server.setdefault(sample.server, []).append(sample)
    figures = [
        _figures(workload, server, own, by_server.get(workload.baseline, []))
        for server, own in by_server.items()
    ]
    figures.sort(key=lambda one: (one.value, one.server))
    return figures if workload.less_is_better else figures[::-1]


def _figures(
    workload: Workload, server: str, own: Sequence[Sample], baseline: Sequence[Sample]
) -> Figures:
    values = [sample.measurement.value for sample in own]
    return Figures(
        server=server,
        rounds=len(own),
        value=statistics.median(values),
        lowest=min(values),
        highest=max(values),
        ratio=_ratio(workload, own, baseline),
        per_second=_median([sample.measurement.per_second for sample in own]),
        server_busy=_median([sample.measurement.server_busy for sample in own]),
        client_busy=_median([sample.measurement.client_busy for sample in own]),
        p99_seconds=_median([sample.measurement.p99_seconds for sample in own]),
    )


def _ratio(
    workload: Workload, own: Sequence[Sample], baseline: Sequence[Sample]
) -> Ratio | None:
    ours = {sample.round: sample.measurement.value for sample in own}
    theirs = {sample.round: sample.measurement.value for sample in baseline}
    both = sorted(ours.keys() & theirs.keys())
    costs = [*ours.values(), *theirs.values()]
    if not both or min(costs) <= 0:
        return None

    def better(own_value: float, other: float) -> float:
        return (other / own_value) if workload.less_is_better else (own_value / other)

    in_rounds = [better(ours[number], theirs[number]) for number in both]
    return Ratio(
        median=better(
            statistics.median(ours.values()), statistics.median(theirs.values())
        ),
        lowest=min(in_rounds),
        highest=max(in_rounds),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
