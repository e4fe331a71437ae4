"""Room for as many descriptors as there may be connections.

Most programs start with a soft limit of 1024 (getrlimit(2)), and may raise it up to a
hard one. A service that has fewer than ``max_connections`` is full before its limit is
met: whoever opens a thousand connections keeps not only clients out but also the probes
of ``--status``, and an orchestrator restarts what was well.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Final

__all__ = ["make_room"]

SPARE: Final = 200
"""Descriptors for all else: listeners, the status port's 32 connections, those who are
refused, the log, workers, what a handler opens."""


def make_room(max_connections: float) -> str | None:
    """Raise this process's soft limit, which its workers inherit, as far as needed.

    Args:
        max_connections: of `Limits`.

    Returns:
        A warning, if the hard limit is too low for that.
    """
    try:
        import resource  # noqa: PLC0415 - Windows has no such limit
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    now, most = _count(soft), _count(hard)
    needed = max_connections + SPARE
    if now < needed and now < most:
        limit = hard if most <= needed else int(needed)
        # macOS allows less than it says; then what there was must do.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            now = _count(limit)
    if now >= needed or max_connections == math.inf:
        return None
    return (
        f"there are {now:g} descriptors, and limits.max_connections is "
        f"{max_connections:g}, with {SPARE} more for all else: who takes all of them "
        "keeps everybody out, and /live from answering; raise the one (ulimit -n, "
        "LimitNOFILE=) or lower the other"
    )


def _count(limit: int) -> float:
    return math.inf if limit < 0 else limit  # RLIM_INFINITY
