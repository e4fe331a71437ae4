"""Losses as an application sees them: bytes that come later."""

from __future__ import annotations

import random
from typing import Final

from trio_tcp.testing.network._retransmission import SHORTEST_WAIT

__all__ = ["draw_loss_delay"]

MOST_IN_A_ROW: Final = 5
"""How often one segment is lost at most: then it is 6.2 seconds late."""


def draw_loss_delay(source: random.Random, share: float) -> float:
    """Draw by how many seconds a segment is late, of which a share is lost.

    It is sent again after 0.2 seconds, after twice that if it is lost again, and so on.
    """
    seconds, wait = 0.0, SHORTEST_WAIT
    for _ in range(MOST_IN_A_ROW):
        if source.random() >= share:
            break
        seconds += wait
        wait *= 2
    return seconds
