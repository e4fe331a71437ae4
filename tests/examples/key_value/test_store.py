from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from examples.key_value.store import Store

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])


class Model(RuleBasedStateMachine):
    """A store beside what is simplest: a dictionary of values and deadlines."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.store = Store(lambda: self.time)
        self.entries: dict[bytes, tuple[bytes, float | None]] = {}

    def living(self) -> dict[bytes, tuple[bytes, float | None]]:
        """Return what has not expired."""
        return {
            key: (value, deadline)
            for key, (value, deadline) in self.entries.items()
            if deadline is None or deadline > self.time
        }

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds

    @rule(key=KEYS, value=st.binary(max_size=5))
    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, with the deadline of the last."""
        _, deadline = self.living().get(key, (b"", None))
        self.store.put(key, value)
        self.entries[key] = value, deadline

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        """Remove one."""
        assert self.store.delete(key) == (key in self.living())
        self.entries.pop(key, None)

    @rule(key=KEYS, seconds=st.integers(1, 5))
    def expire(self, key: bytes, seconds: int) -> None:
        """Give a deadline to one that is there."""
        if self.store.get(key) is not None:
            self.store.expire(key, seconds)
            self.entries[key] = self.entries[key][0], self.time + seconds

    @rule(key=KEYS)
    def persist(self, key: bytes) -> None:
        """Take it away from one that is there."""
        if self.store.get(key) is not None:
            self.store.persist(key)
            self.entries[key] = self.entries[key][0], None

    @rule(count=st.integers(1, 3))
    def sweep(self, count: int) -> None:
        """Remove some of what has expired."""
        before = len(self.store)
        removed = self.store.sweep(count)
        assert removed <= count
        assert len(self.store) == before - removed >= len(self.living())

    @rule()
    def sweep_everything(self) -> None:
        """Once around."""
        self.store.sweep(len(self.store))
        assert len(self.store) == len(self.living())

    @rule()
    def clear(self) -> None:
        """Begin anew."""
        self.store.clear()
        self.entries.clear()

    @rule()
    def look(self) -> None:
        """Every value and deadline is the model's; nothing is left in its memory."""
        living = self.living()
        for key in (b"a", b"b", b"c", b"d", b"e"):
            value, deadline = living.get(key, (None, None))
            assert self.store.get(key) == value
            left = None if deadline is None else deadline - self.time
            assert self.store.expires_in(key) == left
        copy = Store(lambda: self.time)
        for key, (value, deadline) in living.items():
            copy.put(key, value)
            if deadline is not None:
                copy.expire(key, deadline - self.time)
        assert self.store.bytes_used == copy.bytes_used

    @invariant()
    def empty_means_empty(self) -> None:
        """What takes memory is counted."""
        assert bool(self.store.bytes_used) == bool(len(self.store))


TestStore: Any = Model.TestCase


def test_a_sweep_comes_around_to_every_key() -> None:
    """However many there are that do not expire soon, none is left out for ever."""
    time = 0.0
    store = Store(lambda: time)
    for number in range(100):
        store.put(b"%d" % number, b"")
        store.expire(b"%d" % number, 1000 if number % 2 else 1)
    time = 2.0
    assert sum(store.sweep(10) for _ in range(10)) == 50
    assert len(store) == 50
