"""A server under attack: its honest clients do not notice, and nothing of it is left.

The attacks, and the three processes of each, are in ``attacks/``. Here they are smaller
and shorter, and those of a family run at the same time, each on a server of its own.
How long the honest clients wait is no promise, and nothing here is about it.
"""

from __future__ import annotations

import sys
from typing import Any

import attrs
import pytest
import trio

from tests.integration.attacks._arena import Result, Scale, run
from tests.integration.attacks._attack import Attack, Visit, families, find

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="it needs /proc, and all of 127.0.0.0/8"
)

SMALL = Scale(seconds=0.1, crowd=0.25, honest=12, quiet=0.1)


@pytest.mark.parametrize("family", families())
async def test_a_server_withstands(family: str) -> None:
    """No honest client meets an error, and afterwards everything is as before.

    The server is alive and serves; its memory has stayed within the bound that the
    attack names; the attackers' connections have all ended, in the ways that the attack
    names; and it has as many descriptors as at first.
    """
    problems: dict[str, list[str]] = {}

    async def attack_one(attack: Attack) -> None:
        result = await run(family, attack, SMALL)
        problems[attack.name] = result.problems

    async with trio.open_nursery() as nursery:
        for attack in find(family):
            nursery.start_soon(attack_one, attack)
    assert problems == {attack.name: [] for attack in find(family)}


ATTACK = Attack(name="", misbehave=Visit.stay, ends=("a", "b"), growth=10)
ALL_IS_WELL = Result(
    attack=ATTACK,
    visits=3,
    ends={"a": 2, "b": 1},
    phases={},
    errors=[],
    rss=(20, 30, 25),
    stuck=0,
    descriptors=(9, 9),
    serves=True,
)


@pytest.mark.parametrize(
    "change",
    [
        {"errors": ["a reset"]},
        {"rss": (20, 31, 25)},
        {"stuck": 1},
        {"ends": {"a": 2, "c": 1}},
        {"ends": {"b": 3}},
        {"descriptors": (9, 10)},
        {"serves": False},
    ],
    ids=str,
)
def test_each_promise_is_kept_or_said_to_be_broken(change: dict[str, Any]) -> None:
    assert ALL_IS_WELL.problems == []
    assert len(attrs.evolve(ALL_IS_WELL, **change).problems) == 1
