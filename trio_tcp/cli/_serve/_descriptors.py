"""Room for as many descriptors as there may be connections.

A service that has fewer than ``max_connections`` is full before its limit is met:
whoever opens a thousand connections keeps not only clients out but also the probes of
``--status``, and an orchestrator restarts what was well.
"""

from __future__ import annotations

import math
from typing import Final

from trio_tcp.cli._descriptors import make_room

__all__ = ["make_room_for"]

SPARE: Final = 200
"""Descriptors for all else: listeners, the status port's 32 connections, those who are
refused, the log, workers, what a handler opens."""


def make_room_for(max_connections: float) -> str | None:
    """Raise this process's limit, which its workers inherit, as far as needed.

    Args:
        max_connections: of `Limits`.

    Returns:
        A warning, if there is not enough room.
    """
    needed = max_connections + SPARE
    count = make_room(needed)
    if count >= needed or max_connections == math.inf:
        return None
    return (
        f"there are {count:.0f} descriptors, and limits.max_connections is "
        f"{max_connections:.0f}, with {SPARE} more for all else: who takes all of them "
        "keeps everybody out, and /live from answering; raise the one (ulimit -n, "
        "LimitNOFILE=) or lower the other"
    )
