"""Samples that nobody has measured."""

from __future__ import annotations

from benchmarks._measurement import Measurement, Sample


def sample(workload: str, server: str, number: int, value: float) -> Sample:
    """Return one of a round, with a server that is busy half of the time."""
    measurement = Measurement(
        value=value,
        per_second=value / 2,
        server_busy=0.5,
        client_busy=0.25,
        p99_seconds=0.0125 if workload == "bcast" else None,
    )
    return Sample(
        round=number, workload=workload, server=server, measurement=measurement
    )


def memory(server: str, value: float) -> Sample:
    """Return one of memory."""
    return Sample(
        round=0, workload="idle", server=server, measurement=Measurement(value=value)
    )


def rounds(workload: str, server: str, *values: float) -> list[Sample]:
    """Return one sample in each round."""
    return [
        sample(workload, server, number, value) for number, value in enumerate(values)
    ]
