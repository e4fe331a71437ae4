"""What a hub remembers, and what it says of what it has forgotten."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp import Lagged, Position


def everything(subscription: trio_tcp.Subscription[Any]) -> list[Any]:
    """Return what is there."""
    items: list[Any] = []
    while True:
        try:
            items.append(subscription.receive_nowait())
        except trio.WouldBlock:
            return items


def shown(items: list[Any]) -> list[Any]:
    """Return the messages, and what is missing as a `Lagged`."""
    return [item if isinstance(item, Lagged) else item.message for item in items]


def test_without_a_history_nothing_is_kept() -> None:
    """And a publication has no position."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"kept.*": 2})
    assert hub.publish_nowait("a", 1).position is None
    with hub.subscribe("a", last=5) as subscription:
        assert everything(subscription) == []
    assert hub.statistics().histories == 0


def test_the_last_ones_greet_who_asks_for_them() -> None:
    """As many as are kept, of each topic."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 1, "b.*": 3})
    for number in range(5):
        for topic in ("a", "b.x"):
            hub.publish_nowait(topic, number)
    with (
        hub.subscribe(">") as none,
        hub.subscribe(">", last=2) as two,
        hub.subscribe("b.x", last=100) as three,
    ):
        assert everything(none) == []
        assert shown(everything(two)) == [4, 3, 4]
        assert shown(everything(three)) == [2, 3, 4]


@given(
    kept=st.integers(1, 5),
    before=st.integers(1, 12),
    after=st.integers(0, 12),
)
def test_who_comes_back_misses_nothing_that_is_kept_and_knows_the_rest(
    kept: int, before: int, after: int
) -> None:
    """However much was published meanwhile."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": kept})
    position = None
    for number in range(before):
        position = hub.publish_nowait("a", number).position
    assert position is not None
    for number in range(before, before + after):
        hub.publish_nowait("a", number)
    with hub.subscribe("a", after={"a": position}) as subscription:
        hub.publish_nowait("a", -1)
        missed = max(0, after - kept)
        expected: list[Any] = [Lagged(missed)] if missed else []
        expected += range(before + missed, before + after)
        assert shown(everything(subscription)) == [*expected, -1]


def test_a_position_of_another_hub_is_no_position_of_this_one() -> None:
    """After a restart nobody knows how many are missing."""
    before: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 9})
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 9})
    position = before.publish_nowait("a", 1).position
    hub.publish_nowait("a", 10)
    assert position is not None
    with hub.subscribe("a", after={"a": position}) as subscription:
        assert shown(everything(subscription)) == [Lagged(None), 10]


def test_a_position_in_what_is_not_known_any_more_says_so() -> None:
    """It was forgotten, or never was."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 9})
    with hub.subscribe("a", after={"a": Position("x", 7)}) as subscription:
        assert everything(subscription) == [Lagged(None)]


def test_a_position_from_the_future_is_none() -> None:
    """A peer may say what it likes."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 9})
    position = hub.publish_nowait("a", 1).position
    assert position is not None
    ahead = Position(position.epoch, position.sequence + 5)
    with hub.subscribe("a", after={"a": ahead}) as subscription:
        assert shown(everything(subscription)) == [Lagged(None), 1]


def test_positions_of_other_topics_change_nothing() -> None:
    """Nobody gets what it has not subscribed to."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={">": 9})
    position = hub.publish_nowait("secret", 1).position
    hub.publish_nowait("secret", 2)
    assert position is not None
    with hub.subscribe("a", after={"secret": position}) as subscription:
        assert everything(subscription) == []


def test_the_topic_that_was_quiet_for_the_longest_is_forgotten() -> None:
    """Names may come from peers, and must not fill the memory."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={">": 1})
    hub.publish_nowait("first", 1)
    hub.publish_nowait("second", 2)
    for number in range(9_999):
        hub.publish_nowait(f"t{number}", number)
        if number == 5:
            hub.publish_nowait("first", 3)
    assert hub.statistics().histories == 10_000
    with hub.subscribe("first", "second", last=1) as subscription:
        assert shown(everything(subscription)) == [3]


@given(st.from_regex(r"[0-9a-z]{1,32}", fullmatch=True), st.integers(0, 10**18))
def test_a_position_is_read_back_as_it_was_written(epoch: str, sequence: int) -> None:
    """A client keeps it as text."""
    position = Position(epoch, sequence)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "x", "x-", "-1", "x--1", "X-1", "x-1\n", "x-1_0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    """With an error that can be caught."""
    with pytest.raises(ValueError, match="is no position"):
        Position.parse(text)


@pytest.mark.parametrize("size", [0, -1])
def test_a_history_of_nothing_is_refused(size: int) -> None:
    """It is not the way to switch it off."""
    with pytest.raises(ValueError, match="1 or more"):
        trio_tcp.Hub[int](history={"a": size})
