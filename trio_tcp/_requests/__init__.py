"""Requests and their replies: many tasks, one connection.

From the bottom: how often to try again (``_retry_budget.py``), whose reply a message
is (``_window.py``), what was asked and is not answered (``_requests.py``), and how that
goes over one connection (``_exchange.py``). On top is what users have, for a connection
that is there (`Requester`), for one after another (`open_requester`), and for several
at once (`open_requester_pool`).
"""

from trio_tcp._requests._open_requester import ReconnectingRequester, open_requester
from trio_tcp._requests._requester import Requester
from trio_tcp._requests._requester_pool import RequesterPool, open_requester_pool
from trio_tcp._requests._requests import RequesterStatistics
from trio_tcp._requests._retry_budget import RetryBudget, RetryTokens

__all__ = [
    "ReconnectingRequester",
    "Requester",
    "RequesterPool",
    "RequesterStatistics",
    "RetryBudget",
    "RetryTokens",
    "open_requester",
    "open_requester_pool",
]
