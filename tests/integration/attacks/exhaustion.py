"""Nothing left: the server has no more file descriptors."""

from __future__ import annotations

from typing import Final

from tests.integration.attacks._attack import Attack, Visit

__all__ = ["ATTACKS"]

ROOM: Final = 100
"""The honest clients need half of it."""


async def hold_on(visit: Visit) -> None:
    """Stay to the end."""
    await visit.stay()


ATTACKS: Final = [
    Attack(
        name="every descriptor taken, for ten seconds",
        misbehave=hold_on,
        ends=("peer closed", "reset (ConnectionBroken)"),
        growth=30,
        room=ROOM,
        crowd=400,
        seconds=10,
    ),
]
