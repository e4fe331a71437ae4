"""How many bytes all connections of a server hold together, and what if it is too much.

Two kinds of bytes are held for a connection: what was received but makes no message
yet, or is not delivered, and what is waiting to be sent. Sending can wait, and so a
spent budget makes it wait. What a peer sends cannot: its bytes are here already. Where
they exceed the budget, the connection that holds the most is ended (Redis does the same
with clients, its ``maxmemory-clients``). Honest clients hold little, and are not it.
"""

from __future__ import annotations

import math
from typing import Final, Protocol, final

from trio_tcp._errors import EvictedError

__all__ = ["SMALL_BYTES", "Budget", "Holder", "counted"]

SMALL_BYTES: Final = 4096
"""What a connection may hold each way without being counted, as the most of them do: a
page."""


def counted(count: int) -> int:
    """Return how many of so many bytes count."""
    return count if count > SMALL_BYTES else 0


class Holder(Protocol):
    """A connection, as far as it holds bytes."""

    @property
    def bytes_held(self) -> int:
        """What it holds now."""
        ...

    def evict(self, error: EvictedError) -> None:
        """End it, and let go of what it holds, before this returns."""
        ...


@final
class Budget:
    """The sum of what the connections of a group hold, and its limit.

    Attributes:
        held: bytes, of all connections. They count themselves.
        limit: bytes; `math.inf` for none.
        holders: the connections.
    """

    __slots__ = ("held", "holders", "limit")

    def __init__(self) -> None:
        self.held: int = 0
        self.limit: float = math.inf
        # A dict, so that the order is that of opening, and a run can be repeated.
        self.holders: dict[int, Holder] = {}

    def relieve(self) -> None:
        """End connections, those that hold the most, until the limit is kept."""
        while self.held > self.limit:
            largest = max(self.holders.values(), key=lambda holder: holder.bytes_held)
            held = largest.bytes_held
            if not held:
                return
            largest.evict(EvictedError(held, self.limit))
