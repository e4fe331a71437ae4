"""One to many: topics, those who subscribe to them, and what if one cannot keep up.

`_hub` has the whole, from `_topics` (names and patterns), `_audience` (who listens to
what), `_history` (what is remembered) and two kinds of subscribers: `_subscription` is
a task, `_attachment` a connection. Each has a `_backlog`, which keeps to one policy.
"""

from trio_tcp._hub._attachment import Attachment
from trio_tcp._hub._backlog import WhenFull
from trio_tcp._hub._hub import Hub, HubStatistics
from trio_tcp._hub._publication import Lagged, Position, Publication
from trio_tcp._hub._subscription import Subscription

__all__ = [
    "Attachment",
    "Hub",
    "HubStatistics",
    "Lagged",
    "Position",
    "Publication",
    "Subscription",
    "WhenFull",
]
