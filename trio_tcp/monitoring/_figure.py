"""One metric: its name, its meaning, its labels; and how Prometheus gets to see it.

Names follow Prometheus's rules: a prefix, base units (seconds, bytes) as a suffix, and
``_total`` at the end of what only grows. The values of every label are few and known
beforehand; no address of a peer is ever one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias, final

import attrs
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from trio_tcp.monitoring._histogram import Histogram

__all__ = ["Figure", "Labels", "Sheet"]

Labels: TypeAlias = tuple[str, ...]
"""The values of a figure's labels, in their order."""


def _with_prefix(name: str) -> str:
    return f"trio_tcp_{name}"


@final
@attrs.frozen(eq=False)
class Figure:
    """A metric, as it is described.

    Attributes:
        name: given without the prefix; a counter's without ``_total``.
        kind: what Prometheus calls its type.
        meaning: one line.
        labels: their names.
        known: values of the labels that it has from the beginning, so that a first
            event is an increase, and not a series out of nothing.
    """

    name: str = attrs.field(converter=_with_prefix)
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    known: tuple[Labels, ...] = attrs.field(default=(), kw_only=True)

    def values(self, values: Mapping[Labels, float]) -> Metric:
        """Show it with these values: a counter or a gauge."""
        family: CounterMetricFamily | GaugeMetricFamily
        if self.kind == "counter":
            family = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        else:
            family = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family

    def histograms(self, histograms: Mapping[Labels, Histogram]) -> Metric:
        """Show it with these values: a histogram."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, histogram in histograms.items():
            bounds = [*map(repr, histogram.bounds), "+Inf"]
            counts = itertools.accumulate(histogram.counts)
            buckets = list(zip(bounds, counts, strict=True))
            family.add_metric(labels, buckets, histogram.sum)
        return family

    def described(self) -> Metric:
        """Show it without any value."""
        return self.histograms({}) if self.kind == "histogram" else self.values({})


@final
class Sheet:
    """Counters and gauges, and what they stand at."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._values: dict[Figure, dict[Labels, float]] = {
            figure: dict.fromkeys(figure.known if figure.labels else [()], 0)
            for figure in figures
        }

    def add(self, figure: Figure, amount: float, *labels: str) -> None:
        """Add to a value."""
        values = self._values[figure]
        values[labels] = values.get(labels, 0) + amount

    def add_all(self, other: Sheet) -> None:
        """Add each value of another sheet."""
        for figure, values in other._values.items():
            for labels, value in values.items():
                self.add(figure, value, *labels)

    def collect(self) -> Iterator[Metric]:
        """Show all of them."""
        for figure, values in self._values.items():
            yield figure.values(values)
