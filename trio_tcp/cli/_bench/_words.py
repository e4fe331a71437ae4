"""Figures as people read them, and what is to be said about a result."""

from __future__ import annotations

import math
from typing import Final

from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import Result

__all__ = ["bytes_words", "headline", "seconds_words", "warnings_about"]

UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))

NOTICEABLE: Final = 0.1
"""The share of the latency from which on what this program adds to it is mentioned."""


def seconds_words(seconds: float) -> str:
    """Write a time with three digits and the unit that fits."""
    if math.isnan(seconds):
        return "-"
    size, unit = next((u for u in UNITS if seconds >= u[0] * 0.9995), UNITS[-1])
    value = seconds / size
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0  # noqa: PLR2004 - three digits
    return f"{value:,.{digits}f} {unit}"


def bytes_words(count: float) -> str:
    """Write a number of bytes in the unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 - IEC 80000-13
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def headline(result: Result) -> str:
    """Say what kind of load it was."""
    many = f"{result.connections:,} connection" + "s" * (result.connections != 1)
    match result.mode:
        case "churn":
            load = f"a connection for each request, {result.connections:,} at once"
        case "one-way":
            load = f"{many}, no replies"
        case _:
            load = f"{many}, {result.in_flight} in flight on each"
    if result.rate is None:
        return f"closed loop, {load}"
    return f"open loop, {result.rate:,g} requests/s, {load}"


def warnings_about(result: Result) -> list[str]:
    """List the reasons not to believe the figures as they stand."""
    found: list[str] = []
    if result.ending == "lost":
        found.append(
            "The server went away, and did not come back: the run ended early."
        )
    if result.ending == "interrupted":
        found.append("The run was interrupted.")
    if result.was_too_slow:
        found.append(
            f"This program took {result.busiest:.0%} of a core, and so may be what was "
            "measured. Use more --processes, or a lower --rate."
        )
    if result.unsent:
        found.append(
            f"{result.unsent:,} requests were due and not sent before the time was "
            "over. They are in no percentile: each would be worse."
        )
    if result.unanswered:
        found.append(
            f"{result.unanswered:,} requests got no reply. They are in no percentile."
        )
    if result.lateness is not None:
        found += _about_lateness(result.lateness, result.latency)
    return found


def _about_lateness(lateness: Histogram, latency: Histogram) -> list[str]:
    if not (lateness.count and latency.count):
        return []
    late = lateness.percentile(50)
    if late < NOTICEABLE * latency.percentile(50):
        return []
    words = seconds_words(late)
    return [f"This program was late itself, by {words} in the median."]
