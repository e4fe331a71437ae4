"""What a hub counts."""

from __future__ import annotations

import attrs

__all__ = ["HubStatistics"]


@attrs.frozen(kw_only=True)
class HubStatistics:
    """The counters of a hub, at one moment.

    Attributes:
        subscribers: tasks and connections now.
        topics: topics and patterns that somebody listens to now.
        histories: topics whose publications are kept now.
        published: so far.
        left_out: publications that subscribers did not get, as they were too slow; each
            is counted for each of them.
        disconnected: subscribers so far that were too slow, by ``"disconnect"``.
    """

    subscribers: int
    topics: int
    histories: int
    published: int
    left_out: int
    disconnected: int
