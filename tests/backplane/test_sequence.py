"""One topic's numbers, whatever comes of them, in whatever order."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

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


class Store:
    """Publishes, forgets, and is read; what it pushes comes late, again, or never."""

    def __init__(self, keep: int) -> None:
        self.sequence = Sequence()
        self.kept: list[Numbered] = []
        self.pushed: list[Numbered] = []
        self.delivered: list[Item] = []
        self._keep = keep
        self._epoch = self._number = self._count = 0

    def publish(self) -> None:
        """Number one, keep it, and push it."""
        self._number += 1
        self._count += 1
        new = item(self._number, f"e{self._epoch}", self._count)
        self.kept = [*self.kept, new][-self._keep :]
        self.pushed.append(new)

    def push(self, index: int, *, again: bool) -> None:
        """Let one arrive, perhaps not for the last time."""
        if index < len(self.pushed):
            self.delivered += self.sequence.take(self.pushed[index])
            if not again:
                del self.pushed[index]

    def lose(self) -> None:
        """Let one be lost."""
        del self.pushed[:1]

    def read(self) -> None:
        """Read what is asked for."""
        if self.sequence.is_behind:
            start = self.sequence.read_from
            found = [it for it in self.kept if it.position.sequence >= start]
            self.delivered += self.sequence.fill(found)

    def forget(self) -> None:
        """Lose all memory, which breaks the link, and is announced."""
        self._begin_anew()
        self.pushed.clear()
        self.delivered.append(Lagged(None))
        self.sequence.forget()

    def expire(self) -> None:
        """Forget an idle topic: all that was on its way has come."""
        if not (self.pushed or self.sequence.is_behind):
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._epoch += 1
        self._number = 0
        self.kept = []


steps = st.one_of(
    st.just(("publish", 0, False)),
    st.tuples(st.just("push"), st.integers(0, 2), st.booleans()),
    st.tuples(st.sampled_from(["lose", "read", "forget", "expire"]), st.just(0)),
)


@given(keep=st.integers(1, 5), steps=st.lists(steps, max_size=60))
def test_whatever_comes_is_delivered_in_order_and_once(
    keep: int, steps: list[tuple[Any, ...]]
) -> None:
    """Also if it comes late, again, or never; and at last all is there."""
    store = Store(keep)
    for step in steps:
        match step:
            case ("push", index, again):
                store.push(index, again=again)
            case _:
                getattr(store, step[0])()
    for push in store.kept[-1:]:
        store.delivered += store.sequence.take(push)
    for _ in range(5):
        store.read()
    assert not store.sequence.is_behind
    check(store.delivered)
    if store.kept:
        last = [it for it in store.delivered if isinstance(it, Numbered)][-1]
        assert last.position == store.kept[-1].position
