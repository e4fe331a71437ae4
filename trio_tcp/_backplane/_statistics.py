"""What a backplane counts."""

from __future__ import annotations

import attrs

__all__ = ["BackplaneStatistics", "Counters"]


@attrs.frozen(kw_only=True)
class BackplaneStatistics:
    """The counters of a backplane, at one moment.

    Attributes:
        is_connected: whether it reaches the other machines.
        connected: how often it has reached them.
        topics: topics and patterns that it brings.
        published: publications of this hub that it has taken to the others.
        not_replicated: those of which it does not know that.
        received: publications that came, this hub's own among them.
        recovered: those of them that were read from the history, as they were published
            while this hub was cut off.
        malformed: those that were no messages of the codec.
        unanswered_bytes: payloads that were sent, and not answered so far.
    """

    is_connected: bool
    connected: int
    topics: int
    published: int
    not_replicated: int
    received: int
    recovered: int
    malformed: int
    unanswered_bytes: int


@attrs.define
class Counters:
    """Those of them that only grow. See `BackplaneStatistics`."""

    connected: int = 0
    published: int = 0
    not_replicated: int = 0
    received: int = 0
    recovered: int = 0
    malformed: int = 0
