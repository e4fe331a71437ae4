"""Results as runs could have had them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._result import Result, Stretch

CLOSED = Result(
    mode="request-reply",
    connections=2,
    in_flight=3,
    rate=None,
    ending="complete",
    seconds=2.0,
    latency=Histogram([0.001, 0.002, 0.003, 0.004]),
    uncorrected=None,
    lateness=None,
    errors=Counter(),
    unanswered=0,
    unsent=0,
    bytes_sent=4000,
    bytes_received=8000,
    cpu_seconds=(0.5,),
    over_time=(Stretch(1.0, 1, 0.001), Stretch(2.0, 3, 0.004)),
)

OPEN = attrs.evolve(
    CLOSED,
    rate=2.0,
    uncorrected=Histogram([0.001, 0.001, 0.001, 0.002]),
    lateness=Histogram([0.00001]),
)


def result(of: Result = CLOSED, **changes: Any) -> Result:  # noqa: ANN401 - its fields
    """Return one that differs in this."""
    return attrs.evolve(of, **changes)
