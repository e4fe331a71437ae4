"""What is a topic, and which topics a pattern stands for."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp._hub._topics import covers, matcher


def topics_of(pattern: str, *topics: str) -> list[str]:
    """Return those of these topics that a subscriber to a pattern gets."""
    hub: trio_tcp.Hub[None] = trio_tcp.Hub()
    got: list[str] = []
    with hub.subscribe(pattern) as subscription, suppress(trio.WouldBlock):
        for topic in topics:
            hub.publish_nowait(topic, None)
        while isinstance(item := subscription.receive_nowait(), trio_tcp.Publication):
            got.append(item.topic)
    return got


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("a", ["a"], ["A", "a.b", "b"]),
        ("a.*", ["a.b", "a.c"], ["a", "a.b.c", "b.a"]),
        ("*.b", ["a.b"], ["b", "a.b.c"]),
        ("a.>", ["a.b", "a.b.c"], ["a", "b.a"]),
        (">", ["a", "a.b"], []),
        ("*", ["a"], ["a.b"]),
        ("a.*.c", ["a.b.c"], ["a.c", "a.b.b.c"]),
        ("a+.[b]", ["a+.[b]"], ["aa.b"]),
    ],
)
def test_a_pattern_stands_for_these_topics(
    pattern: str, matched: list[str], others: list[str]
) -> None:
    """A star for one word, a ``>`` for one or more at the end."""
    assert topics_of(pattern, *matched, *others) == matched


@pytest.mark.parametrize(
    "topic", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "a.*", ">", "x" * 256]
)
def test_what_is_no_topic_is_refused(topic: str) -> None:
    """Before anybody gets anything."""
    hub: trio_tcp.Hub[None] = trio_tcp.Hub()
    with pytest.raises(ValueError, match="is no topic"):
        hub.publish_nowait(topic, None)
    assert hub.statistics().published == 0


@pytest.mark.parametrize(
    "pattern", ["", "a.>.b", "a*", "a.b>", "**", "a..>", "x" * 256]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """In a subscription, and where histories are set up."""
    hub: trio_tcp.Hub[None] = trio_tcp.Hub()
    with pytest.raises(ValueError, match="no pattern"):
        hub.subscribe("fine", pattern)
    with pytest.raises(ValueError, match="no pattern"):
        trio_tcp.Hub[None](history={pattern: 1})
    assert hub.statistics().subscribers == 0


def test_to_subscribe_to_nothing_is_refused() -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match="name a topic"):
        trio_tcp.Hub[None]().subscribe()


def test_what_several_patterns_match_comes_once() -> None:
    """And in the order of publishing."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a.b", "a.*", ">") as subscription:
        for number in range(3):
            hub.publish_nowait("a.b", number)
            hub.publish_nowait("c", number)
        items = [subscription.receive_nowait() for _ in range(6)]
    got = [(p.topic, p.message) for p in items if isinstance(p, trio_tcp.Publication)]
    assert got == [(topic, n) for n in range(3) for topic in ("a.b", "c")]


def test_patterns_that_come_and_go_are_noticed_for_topics_already_used() -> None:
    """What matched a topic before is not taken for what matches it now."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a.*") as first:
        hub.publish_nowait("a.b", 1)
        with hub.subscribe("*.b") as second:
            hub.publish_nowait("a.b", 2)
        hub.publish_nowait("a.b", 3)
        assert second.missed == 0
        got = [first.receive_nowait() for _ in range(3)]
    with hub.subscribe("a.*") as third:
        hub.publish_nowait("a.b", 4)
        got.append(third.receive_nowait())
    assert [p.message for p in got if isinstance(p, trio_tcp.Publication)] == [
        1,
        2,
        3,
        4,
    ]
    assert hub.statistics().topics == 0


@given(st.lists(st.sampled_from(["a", "b", "*"]), max_size=3), st.booleans(), st.data())
def test_a_pattern_covers_another_if_it_matches_all_of_its_topics(
    words: list[str], ends_open: bool, data: st.DataObject
) -> None:
    """As far as topics of two words can tell, with four words at most."""
    tail = [">"] if ends_open or not words else []
    general = ".".join([*words, *tail])
    others = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)
    other_words = data.draw(others, "other")
    other_tail = [">"] if data.draw(st.booleans()) or not other_words else []
    special = ".".join([*other_words, *other_tail])
    # "c" stands for all words that are in neither.
    topics = [
        ".".join(topic)
        for size in (1, 2, 3, 4)
        for topic in product("abc", repeat=size)
    ]
    of_special = [topic for topic in topics if matcher(special).fullmatch(topic)]
    expected = all(matcher(general).fullmatch(topic) for topic in of_special)
    assert covers(general, special) is expected
