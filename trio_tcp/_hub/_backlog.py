"""Publications that wait for a subscriber, and what if there are too many.

Each policy is a small queue. None of them waits, and each says where something is
missing: a `Lagged` stands in the queue where it would have been.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar, final

from trio_tcp._hub._publication import Lagged, Publication
from trio_tcp._kinds import check_function
from trio_tcp._validators import check_whole

__all__ = ["Backlog", "Key", "WhenFull", "make_backlog"]

T = TypeVar("T")

WhenFull: TypeAlias = Literal[
    "drop_oldest", "drop_newest", "keep_latest", "disconnect", "wait"
]
"""What becomes of publications that a subscriber has no room for."""

ONE: Final = Lagged(1)

Key: TypeAlias = Callable[[Publication[Any]], Hashable]


class Backlog(Protocol[T]):
    """A bounded queue of publications."""

    def put(self, publication: Publication[T], /) -> bool:
        """Take one; False if there is no room, and nothing may be left out."""
        ...

    @property
    def first(self) -> Publication[T] | Lagged:
        """What `take` has to return."""
        ...

    def take(self) -> Publication[T] | Lagged:
        """Return the first, or what is missing there."""
        ...

    def put_back(self, items: Iterable[Publication[T] | Lagged], /) -> None:
        """Put these before all others, whether there is room or not."""
        ...

    def put_lagged(self, lagged: Lagged, /) -> None:
        """Say, after what waits, that something is missing that never came here."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether `put` would have to leave something out, or to refuse."""
        ...

    @property
    def left_out(self) -> int:
        """How many publications the subscriber does not get."""
        ...

    def __len__(self) -> int:
        """Count what `take` has to return."""
        ...


@final
class InOrder(Generic[T]):
    """Keeps all; leaves out the oldest, or the newest, or none."""

    def __init__(
        self, capacity: int, drop: Literal["oldest", "newest", "none"]
    ) -> None:
        self._capacity = capacity
        self._drop = drop
        self._items: deque[Publication[T] | Lagged] = deque()
        self._publications = 0
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        return self._publications >= self._capacity

    def put(self, publication: Publication[T], /) -> bool:
        if self._publications >= self._capacity:
            if self._drop == "none":
                return False
            self.left_out += 1
            if self._drop == "newest":
                self._leave_out()
                return True
            self._drop_oldest()
        self._items.append(publication)
        self._publications += 1
        return True

    def _drop_oldest(self) -> None:
        missed = ONE
        while isinstance(first := self._items.popleft(), Lagged):
            missed = _both(missed, first)
        self._publications -= 1
        self._items.appendleft(missed)

    def _leave_out(self) -> None:
        _add(self._items, ONE)

    def put_lagged(self, lagged: Lagged, /) -> None:
        _add(self._items, lagged)

    @property
    def first(self) -> Publication[T] | Lagged:
        return self._items[0]

    def take(self) -> Publication[T] | Lagged:
        item = self._items.popleft()
        if not isinstance(item, Lagged):
            self._publications -= 1
        return item

    def put_back(self, items: Iterable[Publication[T] | Lagged], /) -> None:
        items = list(items)
        self._items.extendleft(reversed(items))
        self._publications += sum(not isinstance(item, Lagged) for item in items)


@final
class LatestByKey(Generic[T]):
    """Keeps the newest of each key, at the place of the first that waited."""

    def __init__(self, capacity: int, key: Key) -> None:
        self._capacity = capacity
        self._key = key
        self._latest: OrderedDict[Hashable, Publication[T]] = OrderedDict()
        self._first: deque[Publication[T] | Lagged] = deque()
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._latest)

    @property
    def is_full(self) -> bool:
        return len(self._latest) >= self._capacity

    def put(self, publication: Publication[T], /) -> bool:
        key = self._key(publication)
        if key in self._latest or self.is_full:
            self.left_out += 1
        if key not in self._latest and self.is_full:
            self._latest.popitem(last=False)
            self.put_lagged(ONE)
        self._latest[key] = publication
        return True

    @property
    def first(self) -> Publication[T] | Lagged:
        return self._first[0] if self._first else next(iter(self._latest.values()))

    def take(self) -> Publication[T] | Lagged:
        if self._first:
            return self._first.popleft()
        return self._latest.popitem(last=False)[1]

    def put_back(self, items: Iterable[Publication[T] | Lagged], /) -> None:
        self._first.extendleft(reversed(list(items)))

    def put_lagged(self, lagged: Lagged, /) -> None:
        _add(self._first, lagged)


def _both(one: Lagged, other: Lagged) -> Lagged:
    if one.missed is None or other.missed is None:
        return Lagged(None)
    return Lagged(one.missed + other.missed)


def _add(items: deque[Publication[T] | Lagged], lagged: Lagged) -> None:
    """Append it; two that would stand side by side become one."""
    if items and isinstance(last := items[-1], Lagged):
        items[-1] = _both(last, lagged)
    else:
        items.append(lagged)


def make_backlog(when_full: WhenFull, capacity: int, key: Key | None) -> Backlog[Any]:
    """Make the queue that keeps to a policy.

    Raises:
        ValueError: there is no such policy; no room at all; or a key without need.
        TypeError: the key is no function.
    """
    check_whole("capacity", capacity, 1)
    if key is not None:
        check_function("key", key)
        if when_full != "keep_latest":
            raise ValueError(f"key means nothing with when_full={when_full!r}")
    match when_full:
        case "drop_oldest":
            return InOrder(capacity, "oldest")
        case "drop_newest":
            return InOrder(capacity, "newest")
        case "keep_latest":
            return LatestByKey(capacity, key or _topic)
        case "disconnect" | "wait":
            return InOrder(capacity, "none")
    raise ValueError(f"when_full is none of {WhenFull.__args__}: {when_full!r}")


def _topic(publication: Publication[Any]) -> Hashable:
    return publication.topic
