"""The store: values by key, some of which expire. It knows nothing of networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final, final

__all__ = ["Store"]

ENTRY_BYTES: Final = 200
"""What an entry costs besides its key and value, roughly, as does a deadline."""


@final
class Store:
    """Values in memory.

    A value that has expired is gone for all who ask; `sweep` removes those for which
    nobody asks.

    Args:
        now: tells the time in seconds, as `trio.current_time` does.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now: Callable[[], float] = now
        self._values: dict[bytes, bytes] = {}
        self._deadlines: OrderedDict[bytes, float] = OrderedDict()
        self._payload_bytes = 0  # of all keys and values

    def __len__(self) -> int:
        """Count the values, with those that have expired and are not swept yet."""
        return len(self._values)

    @property
    def bytes_used(self) -> int:
        """About how much memory all this takes."""
        entries = len(self._values) + len(self._deadlines)
        return self._payload_bytes + entries * ENTRY_BYTES

    def get(self, key: bytes) -> bytes | None:
        """Return a value, or None if there is none."""
        if key in self._deadlines and self._deadlines[key] <= self.now():
            self.delete(key)
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value. If it replaces another, it expires when that would have."""
        before = self.get(key)
        self._values[key] = value
        self._payload_bytes += len(value)
        if before is None:
            self._payload_bytes += len(key)
        else:
            self._payload_bytes -= len(before)

    def delete(self, key: bytes) -> bool:
        """Remove a value; False if there was none."""
        value = self._values.pop(key, None)
        if value is None:
            return False
        self._payload_bytes -= len(key) + len(value)
        deadline = self._deadlines.pop(key, None)
        return deadline is None or deadline > self.now()

    def clear(self) -> None:
        """Remove everything."""
        self._values.clear()
        self._deadlines.clear()
        self._payload_bytes = 0

    def expire(self, key: bytes, seconds: float) -> None:
        """Let a value that is there expire after so many seconds."""
        self._deadlines[key] = self.now() + seconds

    def persist(self, key: bytes) -> None:
        """Let a value stay for ever."""
        self._deadlines.pop(key, None)

    def expires_in(self, key: bytes) -> float | None:
        """Return after how many seconds a value expires, or None if it does not."""
        deadline = self._deadlines.get(key)
        return None if deadline is None else deadline - self.now()

    def sweep(self, count: int) -> int:
        """Look at so many of the values that expire, each time at the next ones.

        Returns:
            How many of them had expired, and are removed.
        """
        now = self.now()
        keys = list(islice(self._deadlines, count))
        expired = [key for key in keys if self._deadlines[key] <= now]
        for key in expired:
            self.delete(key)
        for key in keys:
            if key in self._deadlines:
                self._deadlines.move_to_end(key)
        return len(expired)
