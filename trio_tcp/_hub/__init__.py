"""One to many: topics, those who subscribe to them, and what if one cannot keep up.

`_hub` has the whole, from `_topics` (names and patterns), `_audience` (who listens to
what), `_history` (what is remembered) and two kinds of subscribers: `_subscription` is
a task, `_attachment` a connection. Each has a `_backlog`, which keeps to one policy.

`_backplane` is what joins hubs of several machines: what is asked of one; `_replica` is
the hub's side of it, and `_joining` a subscriber whose past comes from there.
"""

from trio_tcp._hub._attachment import Attachment
from trio_tcp._hub._backlog import WhenFull
from trio_tcp._hub._backplane import Answer, Backplane, Delivery, Receiver, Sent
from trio_tcp._hub._hub import Hub
from trio_tcp._hub._publication import Lagged, Position, Publication
from trio_tcp._hub._statistics import HubStatistics
from trio_tcp._hub._subscription import Subscription
from trio_tcp._hub._topics import is_pattern, matcher

__all__ = [
    "Answer",
    "Attachment",
    "Backplane",
    "Delivery",
    "Hub",
    "HubStatistics",
    "Lagged",
    "Position",
    "Publication",
    "Receiver",
    "Sent",
    "Subscription",
    "WhenFull",
    "is_pattern",
    "matcher",
]
