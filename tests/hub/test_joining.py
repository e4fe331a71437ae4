"""A subscriber whose past is on its way, while the present goes on."""

from __future__ import annotations

from typing import Any

from trio_tcp._hub import Delivery, Lagged, Position, Publication
from trio_tcp._hub._joining import Joining


def publication(number: int, epoch: str = "a") -> Publication[int]:
    """Make a numbered one."""
    return Publication("topic", number, Position(epoch, number))


def found(*numbers: int, epoch: str = "a") -> list[Delivery | Lagged]:
    """Make what is found of the past."""
    return [Delivery(publication(n, epoch), f"{epoch}{n}") for n in numbers]


def begun(joining: Joining, *items: Delivery | Lagged) -> list[Any]:
    """Begin, and return the numbers of what comes first, and `Lagged` as it is."""
    first = joining.begin(items, lambda _: True)
    return [item if isinstance(item, Lagged) else item.message for item in first]


def test_the_past_goes_as_far_as_the_present_has_begun() -> None:
    joining = Joining({"topic": Position("a", 3)})
    assert joining.admits(publication(6))
    assert joining.admits(publication(7))
    assert begun(joining, *found(4, 5, 6, 7)) == [4, 5]
    assert joining.admits(publication(8))
    assert joining.is_over


def test_what_was_found_is_not_admitted_again() -> None:
    joining = Joining({"topic": Position("a", 3)})
    assert begun(joining, *found(4, 5)) == [4, 5]
    assert not joining.admits(publication(5))
    assert not joining.is_over
    assert joining.admits(publication(6))
    assert joining.is_over


def test_what_it_says_that_it_has_is_not_admitted() -> None:
    """Though it comes only now: the node was cut off."""
    joining = Joining({"topic": Position("a", 3)})
    assert not joining.admits(publication(2))
    assert not joining.admits(publication(3))
    assert joining.admits(publication(4))
    assert begun(joining, *found(4)) == []


def test_who_says_that_it_has_what_there_is_not_misses_nothing_unsaid() -> None:
    joining = Joining({"topic": Position("a", 1000)})
    assert not joining.admits(publication(4))
    items = [Lagged(None), *found(2, 3)]
    assert begun(joining, *items) == [Lagged(None), 2, 3, Lagged(None)]
    assert joining.admits(publication(5))


def test_another_epoch_is_another_count() -> None:
    joining = Joining({"topic": Position("a", 3)})
    assert joining.admits(publication(1, "b"))
    assert begun(joining, Lagged(None), *found(1, 2, epoch="b")) == [Lagged(None)]
    assert joining.admits(publication(2, "b"))
