"""Floods: more connections than anybody needs, from few addresses."""

from __future__ import annotations

from typing import Final

from tests.integration.attacks._attack import Attack, Service, Visit, reset
from trio_tcp import Limits, Timeouts, codecs

__all__ = ["ATTACKS"]

PER_ADDRESS: Final = 60
"""More than the honest clients are, all from one address, too."""

SLOTS: Final = 100
"""Half of them are for the honest clients."""


async def come_and_go(visit: Visit) -> None:
    """Some stay, if they may; the others come and go, as fast as they can."""
    if visit.number % 3:
        await visit.stay()
    elif visit.dice.random() < 0.5:
        reset(visit.stream)
    else:
        await visit.stream.send_eof()


async def take_a_place(visit: Visit) -> None:
    """Be there, for as long as it is allowed."""
    await visit.until_ended()


ATTACKS: Final = [
    Attack(
        name="50,000 connects from one address",
        misbehave=come_and_go,
        ends=(
            "refused (max_per_address)",
            "reset (ConnectionBroken)",
            "peer closed",
        ),
        # The backlog has room for 4096, and all of them may be accepted together.
        growth=200,
        limits=Limits(max_per_address=PER_ADDRESS),
        crowd=400,
        hosts=1,
        at_most=50_000,
        seconds=30,
    ),
    Attack(
        name="every place taken, when_full='wait'",
        misbehave=take_a_place,
        ends=("timed out (first_message)", "reset (ConnectionBroken)", "peer closed"),
        growth=30,
        limits=Limits(max_connections=SLOTS),
        timeouts=Timeouts(first_message=1),  # many have to wait for their turn
        crowd=400,
    ),
    Attack(
        name="every place taken, when_full='reject', with a farewell",
        misbehave=take_a_place,
        ends=("refused (max_connections)", "timed out (first_message)"),
        growth=50,
        services=(Service(codec=codecs.Lines(), hello=b"hello\n"),),
        limits=Limits(max_connections=SLOTS, when_full="reject", farewell=b"FULL\n"),
        timeouts=Timeouts(first_message=2),
        crowd=400,
        newcomers=0,  # they would be refused as well
    ),
]
