"""What one run of one workload on one server gives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Measurement", "Sample"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The figures of one run.

    Attributes:
        value: what servers are compared by: units per second of the server's CPU, or
            KiB per connection. Clients likewise, by their own CPU.
        per_second: units per second on the wall; None for memory.
        server_busy: seconds of CPU that the server took per second; None for memory.
        client_busy: likewise the load generator.
        p99_seconds: how long 99 of 100 deliveries took at most, from the client that
            speaks to the one that hears; None where nobody looked.
    """

    value: float
    per_second: float | None = None
    server_busy: float | None = None
    client_busy: float | None = None
    p99_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement, and of what.

    Attributes:
        round: counted from 0.
        workload: its name.
        server: its name.
        measurement: the figures.
    """

    round: int
    workload: str
    server: str
    measurement: Measurement
