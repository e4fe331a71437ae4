"""kqueue(2) with as much of the face of `select.epoll` as the poller looks at.

It says less: that something has changed at a socket, and never that there are bytes and
nothing else. How a system tells of urgent data differs between those that have kqueue,
and one that is silent about it would leave a reader waiting before it. So a read here
goes on until nothing is left, for the price of one more system call.
"""

from __future__ import annotations

import select
from typing import Any, Final, final

__all__ = ["HAS_KQUEUE", "Kqueue"]

HAS_KQUEUE: Final = hasattr(select, "kqueue")

CHANGED: Final = 0
"""In the place of epoll's events: none of them."""

# Type checkers know it only where it is.
_select: Any = select


@final
class Kqueue:
    """Tells of edges: ``EV_CLEAR`` is kqueue's word for that."""

    def __init__(self) -> None:
        self._kqueue = _select.kqueue()

    def fileno(self) -> int:
        """Return the descriptor that can be waited for."""
        return int(self._kqueue.fileno())

    def close(self) -> None:
        """Close it."""
        self._kqueue.close()

    def register(self, fd: int, _events: int) -> None:
        """Tell of this descriptor from now on, also of what is there already."""
        self._change(fd, _select.KQ_EV_ADD | _select.KQ_EV_CLEAR)

    def unregister(self, fd: int) -> None:
        """Tell of it no more."""
        self._change(fd, _select.KQ_EV_DELETE)

    def _change(self, fd: int, flags: int) -> None:
        change = _select.kevent(fd, _select.KQ_FILTER_READ, flags)
        self._kqueue.control([change], 0, 0)

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Return the descriptors at which something has changed."""
        changed = self._kqueue.control(None, most, timeout)
        return [(event.ident, CHANGED) for event in changed]
