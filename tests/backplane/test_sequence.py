"""One topic's numbers, whatever comes of them, in whatever order."""

from __future__ import annotations

from collections.abc import Sequence as Items

from hypothesis import given
from hypothesis import strategies as st

from trio_tcp._backplane import Numbered
from trio_tcp._backplane._sequence import MAX_AHEAD, Item, Sequence
from trio_tcp._hub import Lagged, Position


def item(number: int, epoch: str = "a", count: int | None = None) -> Numbered:
    """Make a publication, the first of which is also the first of all topics."""
    position = Position(epoch, number)
    return Numbered("topic", position, count or number, f"{epoch}{number}", b"")


def items(*numbers: int, epoch: str = "a") -> list[Numbered]:
    """Make several."""
    return [item(number, epoch) for number in numbers]


def test_what_comes_in_order_is_delivered_at_once() -> None:
    sequence = Sequence()
    for number in (7, 8, 9):
        assert sequence.take(item(number)) == items(number)
    assert not sequence.is_behind


def test_what_comes_again_is_not_delivered() -> None:
    sequence = Sequence()
    sequence.take(item(7))
    sequence.take(item(8))
    assert sequence.take(item(7)) == sequence.take(item(8)) == []


def test_a_gap_is_read_before_what_comes_after_it() -> None:
    sequence = Sequence()
    sequence.take(item(1))
    assert sequence.take(item(4)) == []
    assert sequence.take(item(5)) == []
    assert sequence.is_behind
    assert sequence.read_from == 1
    assert sequence.fill(items(1, 2, 3, 4)) == items(2, 3, 4, 5)
    assert not sequence.is_behind


def test_what_is_no_longer_kept_is_counted() -> None:
    sequence = Sequence()
    sequence.take(item(1))
    sequence.take(item(9))
    assert sequence.fill(items(7, 8, 9)) == [Lagged(5), *items(7, 8, 9)]


def test_what_is_nowhere_is_counted_too() -> None:
    sequence = Sequence()
    sequence.take(item(1))
    sequence.take(item(4))
    assert sequence.fill(items(1)) == [Lagged(2), *items(4)]
    assert not sequence.is_behind


def test_another_epoch_is_announced() -> None:
    sequence = Sequence()
    sequence.take(item(5))
    assert sequence.take(item(1, "b")) == [Lagged(None), *items(1, epoch="b")]
    assert sequence.take(item(6)) == [], "it is of the former"


def test_another_epoch_is_read_from_its_beginning() -> None:
    sequence = Sequence()
    sequence.take(item(5))
    sequence.fall_behind()
    assert sequence.read_from == 5
    assert sequence.fill(items(5, 6, epoch="b")) == []
    assert sequence.read_from == 0
    all_of_it = items(1, 2, 3, 4, 5, 6, epoch="b")
    assert sequence.fill(all_of_it) == [Lagged(None), *all_of_it]


def test_a_history_that_is_gone_is_announced() -> None:
    sequence = Sequence()
    sequence.take(item(5))
    sequence.fall_behind()
    assert sequence.fill([]) == []
    assert sequence.fill([]) == [Lagged(None)]
    assert sequence.take(item(1, "b")) == items(1, epoch="b")


def test_of_what_was_never_seen_only_what_is_due_is_delivered() -> None:
    """By the count: what was published before it was wanted is not."""
    sequence = Sequence(floor=12)
    sequence.fall_behind()
    found = [item(number, count=10 + number) for number in (1, 2, 3, 4)]
    assert sequence.fill(found) == found[2:]
    assert sequence.take(item(5, count=15)) == [item(5, count=15)]


def test_of_what_was_never_seen_it_is_announced_that_more_may_be_due() -> None:
    """Where the first that is kept is due, and is not the first of all."""
    sequence = Sequence(floor=12)
    sequence.fall_behind()
    found = [item(number, count=20 + number) for number in (3, 4)]
    assert sequence.fill(found) == [Lagged(None), *found]


def test_what_comes_while_there_is_no_room_is_read_again() -> None:
    """So that a long read costs no more memory than that."""
    sequence = Sequence()
    sequence.take(item(1))
    last = MAX_AHEAD + 10
    for number in range(3, last + 1):
        assert sequence.take(item(number)) == []
    delivered = sequence.fill(items(1, 2))
    assert delivered == items(*range(2, MAX_AHEAD + 3))
    assert sequence.is_behind
    rest = range(MAX_AHEAD + 2, last + 1)
    assert sequence.fill(items(*rest)) == items(*rest[1:])
    assert not sequence.is_behind


def check(delivered: Items[Item]) -> None:
    """Check order, that nothing comes twice, and that gaps are announced and right."""
    last: Position | None = None
    lagged: list[int | None] = []
    for it in delivered:
        if isinstance(it, Lagged):
            assert it.missed is None or it.missed > 0
            lagged.append(it.missed)
            continue
        if last is not None and it.position.epoch == last.epoch:
            missed = it.position.sequence - last.sequence - 1
            assert missed >= 0
            assert lagged == ([missed] if missed else []) or None in lagged
        elif last is not None:
            assert None in lagged
        last, lagged = it.position, []
    positions = [it.position for it in delivered if isinstance(it, Numbered)]
    assert len(set(positions)) == len(positions)


@given(st.data())
def test_whatever_comes_is_delivered_in_order_and_once(data: st.DataObject) -> None:
    """Pushes are lost, come late, and again; the store forgets; and at last it reads."""
    sequence = Sequence()
    kept: list[Numbered] = []
    pushed: list[Numbered] = []
    delivered: list[Item] = []
    epoch, number, count = 0, 0, 0
    keep = data.draw(st.integers(1, 5), "keep")
    # What expires has been idle: all that was on its way has come.
    steps = st.sampled_from(
        ["publish", "publish", "push", "push", "read", "forget", "expire"]
    )
    for step in data.draw(st.lists(steps, max_size=60), "steps"):
        if step == "publish":
            number, count = number + 1, count + 1
            kept = [*kept, item(number, f"e{epoch}", count)][-keep:]
            pushed.append(kept[-1])
        elif step == "push" and pushed:
            index = data.draw(st.integers(0, min(2, len(pushed) - 1)), "index")
            delivered += sequence.take(pushed[index])
            if data.draw(st.booleans(), "does not come again"):
                del pushed[index]
        elif step == "read" and sequence.is_behind:
            start = sequence.read_from
            found = [it for it in kept if it.position.sequence >= start]
            delivered += sequence.fill(found)
        elif step == "forget":
            epoch, number, kept = epoch + 1, 0, []
            pushed.clear()
            delivered.append(Lagged(None))
            sequence.forget()
        elif step == "expire" and not (pushed or sequence.is_behind):
            epoch, number, kept = epoch + 1, 0, []
    for push in kept[-1:]:
        delivered += sequence.take(push)
    for _ in range(5):
        if sequence.is_behind:
            start = sequence.read_from
            found = [it for it in kept if it.position.sequence >= start]
            delivered += sequence.fill(found)
    assert not sequence.is_behind
    check(delivered)
    if kept:
        last = [it for it in delivered if isinstance(it, Numbered)][-1]
        assert last.position == kept[-1].position
