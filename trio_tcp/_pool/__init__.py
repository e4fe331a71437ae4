"""A pool of connections, each lent to one task at a time.

From the bottom: who waits (``_waiting_line.py``), whether a connection may go to
somebody else (``_pooled.py``), those that there are (``_stock.py``), and what users
have (``_pool.py``).
"""

from trio_tcp._pool._pool import Pool, open_pool
from trio_tcp._pool._pooled import DiscardReason
from trio_tcp._pool._stock import PoolStatistics

__all__ = [
    "DiscardReason",
    "Pool",
    "PoolStatistics",
    "open_pool",
]
