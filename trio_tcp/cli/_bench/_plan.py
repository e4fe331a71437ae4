"""What a run is to do: all that the command line decides, but where to connect."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

__all__ = ["Arrivals", "Mode", "Plan", "expect_anything"]

Arrivals: TypeAlias = Literal["poisson", "uniform"]
Mode: TypeAlias = Literal["request-reply", "churn", "one-way"]


def expect_anything(_number: int, _reply: object) -> bool:
    """Accept any reply."""
    return True


@attrs.frozen(kw_only=True)
class Plan:
    """One run.

    Attributes:
        frames: the messages, encoded; they are sent in turn.
        mode: ``"request-reply"``: each message has one reply, in order. ``"churn"``:
            the same, each over a connection of its own. ``"one-way"``: no replies.
        connections: at once; with churn, at most.
        in_flight: requests that wait for their replies on one connection, at most.
        rate: requests per second, of all connections: an open loop. None: a closed
            loop.
        arrivals: how those are spread over time.
        seed: of what is drawn: the arrivals.
        connect_rate: connections that are opened in a second, at most.
        warm_up: seconds of load that do not count.
        duration: seconds of load that count, at most.
        requests: that count, at most.
        timeout: seconds after which a reply is not waited for any more, nor a
            connection.
        is_expected: ``number of the message, reply -> bool``.
    """

    frames: tuple[bytes, ...]
    mode: Mode = "request-reply"
    connections: int = 1
    in_flight: int = 1
    rate: float | None = None
    arrivals: Arrivals = "poisson"
    seed: int = 0
    connect_rate: float = math.inf
    warm_up: float = 0.0
    duration: float = math.inf
    requests: float = math.inf
    timeout: float = 10.0
    is_expected: Callable[[int, object], bool] = expect_anything

    @property
    def bytes_in_flight(self) -> int:
        """How many bytes of requests may be in flight on one connection."""
        return self.in_flight * max(map(len, self.frames))
