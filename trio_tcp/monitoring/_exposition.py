"""The text that Prometheus reads: of this process, or of several in one.

Several processes are not added up. Each sample gets one more label, which says whose it
is, and Prometheus adds up what is asked for. So a worker that has died takes its gauges
with it, and one that took its place begins its counters at 0, which Prometheus knows
how to read. ``process_…`` and ``python_…`` stay apart as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, final

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from trio_tcp.monitoring._source import Exposition

__all__ = ["encode", "exposition", "merge"]

WORKER: Final = "worker"


def exposition(registry: Collector = REGISTRY) -> str:
    """Return all figures of this process, in Prometheus's text format.

    Args:
        registry: where they are.
    """
    return generate_latest(registry).decode()


def encode(registry: Collector, accept: str) -> Exposition:
    """Return all figures of this process in the format that is wanted most.

    Args:
        registry: where they are.
        accept: the ``Accept`` header, or nothing. One that makes no sense counts as
            nothing.
    """
    try:
        encoder, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encoder, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    return Exposition(encoder(registry), content_type)


def merge(texts: Mapping[str, str]) -> str:
    """Put together what several processes have to say, with a label ``worker``.

    Name them by their places (``"0"``, ``"1"``, …), not by process ids: whoever takes a
    dead worker's place then goes on with its series, and their number stays what it is.
    While one that drains and its successor are both there, they need two names
    (``"0"``, ``"0-draining"``).

    A label ``worker`` that a sample has already becomes ``exported_worker``, as
    Prometheus itself would have it. Where processes do not agree on the type of a
    metric, as they may while a new version takes over, the first one's counts, and the
    others' samples of it are left out.

    Args:
        texts: of each process, by the worker's name, as `exposition` returns it. Those
            that are gone, or do not answer, are simply not in it.

    Returns:
        All of it in Prometheus's text format.

    Raises:
        ValueError: a text is not in that format; it says whose.
    """
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        try:
            for family in text_string_to_metric_families(text):
                _add(families, family, worker)
        except ValueError as error:
            raise ValueError(f"of worker {worker!r}: {error}") from error
    return generate_latest(_Merged(families.values())).decode()


def _add(families: dict[str, Metric], family: Metric, worker: str) -> None:
    shown = f"{family.name}_total" if family.type == "counter" else family.name
    merged = families.get(shown)
    if merged is None:
        merged = Metric(family.name, family.documentation, family.type)
        families[shown] = merged
    if merged.type == family.type:
        merged.samples += [_labelled(sample, worker) for sample in family.samples]


def _labelled(sample: Sample, worker: str) -> Sample:
    labels = dict(sample.labels)
    if WORKER in labels:
        labels[f"exported_{WORKER}"] = labels[WORKER]
    labels[WORKER] = worker
    return sample._replace(labels=labels)


@final
class _Merged:
    """What is merged, as prometheus_client's writer wants to have it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
