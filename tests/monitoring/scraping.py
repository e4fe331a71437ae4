"""What the tests of this folder share: metrics of their own, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import trio
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import trio_tcp
from trio_tcp import monitoring
from trio_tcp.testing import VirtualNetwork

__all__ = ["Fresh", "ask", "ignore", "samples", "split", "strictly_parsed"]


def ignore(_event: trio_tcp.Event, /) -> None:
    """Observe nothing more."""


def strictly_parsed(text: str) -> list[str]:
    """Have the parser of OpenMetrics read it; return the names of its families."""
    parse = cast(
        "Callable[[str], Iterable[Metric]]",
        openmetrics.text_string_to_metric_families,  # pyright: ignore[reportUnknownMemberType]  # it has no types
    )
    return [family.name for family in parse(text)]


def samples(text: str) -> dict[str, float]:
    """Read Prometheus's text: each sample by its name and labels, as it is written."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found
            found[name] = sample.value
    return found


class Fresh:
    """Metrics in a registry of their own.

    Attributes:
        registry: nothing else is in it.
        metrics: the metrics; nobody else is told what they are.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = monitoring.Metrics(self.registry, observer=ignore)

    def now(self) -> dict[str, float]:
        """Return all samples, without the prefix of their names."""
        text = monitoring.exposition(self.registry)
        return {
            name.removeprefix("trio_tcp_"): value
            for name, value in samples(text).items()
        }

    def changed(self) -> dict[str, float]:
        """Return the samples that are not 0, but no buckets."""
        now = self.now()
        return {k: v for k, v in now.items() if v and "_bucket{" not in k}


async def ask(net: VirtualNetwork, request: bytes, *, port: int = 9100) -> bytes:
    """Send a request from another host, and read until the server closes."""

    async def talk() -> bytes:
        stream = await trio.open_tcp_stream("server", port)
        async with stream:
            await stream.send_all(request)
            await stream.send_eof()
            return b"".join([chunk async for chunk in stream])

    answer: bytes = await net.host("operator").run(talk)
    return answer


def split(answer: bytes) -> tuple[int, Mapping[str, str], bytes]:
    """Take one answer of HTTP apart: its status, headers and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    return int(status), {k.lower(): v for k, v in headers.items()}, body
