"""All that a node wants, through interruptions."""

from __future__ import annotations

from trio_tcp._backplane import Numbered, State
from trio_tcp._backplane._feed import MAX_TOPICS, Feed
from trio_tcp._hub import Lagged, Position


def item(topic: str, number: int, count: int) -> Numbered:
    """Make a publication: its number in the topic, and in all."""
    return Numbered(topic, Position("a", number), count, f"{topic}{number}", b"")


def begun(*patterns: str, count: int = 0) -> Feed:
    """Make one that wants these, from a count on."""
    feed = Feed()
    for pattern in patterns:
        feed.want(pattern)
    assert not feed.resume(State("store", count, []))
    return feed


def test_only_what_is_wanted_is_delivered() -> None:
    """By name or by pattern, and no longer than it is."""
    feed = begun("a", "room.*")
    first, second, third = item("a", 1, 1), item("b", 1, 2), item("room.x", 1, 3)
    assert [*feed.take(first), *feed.take(second), *feed.take(third)] == [first, third]
    feed.unwant("room.*")
    assert feed.take(item("room.x", 2, 4)) == []


def test_a_topic_that_is_wanted_otherwise_goes_on() -> None:
    """With what it has seen."""
    feed = begun("room.x", "room.*")
    feed.take(item("room.x", 1, 1))
    feed.unwant("room.x")
    assert feed.take(item("room.x", 1, 1)) == []
    feed.unwant("room.*")
    feed.want("room.x")
    assert feed.take(item("room.x", 7, 9)) == [item("room.x", 7, 9)], "it begins anew"


def test_topics_that_have_changed_meanwhile_are_read() -> None:
    """Also those that were never seen, from where it was."""
    feed = begun("room.*", count=5)
    feed.take(item("room.x", 3, 6))
    assert feed.seen == ("store", 6)
    assert not feed.resume(State("store", 9, ["room.x", "room.y", "other"]))
    assert sorted(feed.behind) == ["room.x", "room.y"]
    assert feed.take(item("room.y", 4, 10)) == []
    found = [item("room.y", number, number + 5) for number in (1, 2, 3, 4)]
    assert feed.read_from("room.y") == 0
    # The first one has the count 6, and was there before.
    assert feed.fill("room.y", found[:3]) == [*found[1:3], item("room.y", 4, 10)]


def test_who_came_later_gets_what_is_later() -> None:
    """By the count at which it was subscribed to."""
    feed = begun("room.*", count=5)
    feed.want("hall.*")
    feed.cover("hall.*", 8)
    feed.resume(State("store", 10, ["hall.x"]))
    found = [item("hall.x", number, number + 6) for number in (1, 2, 3)]
    assert feed.fill("hall.x", found) == found[2:]


def test_a_lost_memory_is_noticed() -> None:
    """All that there is in the new one was published since."""
    feed = begun("room.*", count=5)
    feed.take(item("room.x", 3, 6))
    assert feed.resume(State("another", 2, ["room.x"]))
    new = Numbered("room.x", Position("b", 1), 1, "key", b"")
    assert feed.fill("room.x", [new]) == [new]


def test_a_history_that_is_read_too_late_is_left_alone() -> None:
    """When nobody wants it any more."""
    feed = begun("room.x")
    feed.resume(State("store", 1, ["room.x"]))
    feed.unwant("room.x")
    assert feed.fill("room.x", [item("room.x", 1, 1)]) == []


def test_topics_without_end_are_forgotten_and_nothing_is_missed() -> None:
    """The count tells what was missed of those that are not remembered."""
    feed = begun("room.*")
    for number in range(MAX_TOPICS + 1):
        feed.take(item(f"room.{number}", 1, number + 1))
    count = MAX_TOPICS + 1
    feed.resume(State("store", count + 2, ["room.0", "room.9"]))
    forgotten = [item("room.0", 1, 1), item("room.0", 2, count + 1)]
    assert feed.fill("room.0", forgotten) == forgotten[1:]
    remembered = [item("room.9", 3, count + 2)]
    assert feed.fill("room.9", remembered) == [Lagged(1), *remembered]
