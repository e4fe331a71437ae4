"""How many descriptors this process may have, raised as far as is needed.

Each connection takes one. Most programs start with a soft limit of 1024 (getrlimit(2)),
and may raise it up to a hard one.
"""

from __future__ import annotations

import math
from contextlib import suppress

__all__ = ["make_room"]


def make_room(needed: float) -> float:
    """Raise the soft limit, which processes started by this one inherit.

    Args:
        needed: how many descriptors there are to be; `math.inf` for all there may be.

    Returns:
        How many there may be then, fewer if the hard limit is too low; `math.inf` where
        nothing limits them.
    """
    try:
        import resource  # noqa: PLC0415 - Windows has no such limit
    except ImportError:
        return math.inf
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    now, most = _count(soft), _count(hard)
    if now < needed and now < most:
        limit = hard if most <= needed else int(needed)
        # macOS allows less than it says; then what there was must do.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            now = _count(limit)
    return now


def _count(limit: int) -> float:
    return math.inf if limit < 0 else limit  # RLIM_INFINITY
