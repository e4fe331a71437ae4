"""One edge-triggered epoll of our own, for sockets of which many are active.

To wait for a socket through Trio costs a system call and some bookkeeping each time.
Here a socket is registered once; one task waits for this epoll, through Trio, and tells
all sockets for which something has come. With one active socket that is a detour by way
of another task; with many it is shared by them.

So `SocketTransport` asks `Poller.guess` and `Poller.is_worth_it`: the one place where
that is decided. Where there is no epoll, it never is.

What edges leave to those who use them (epoll(7)):

* An edge tells that something has changed, once. Who was told reads until nothing is
  left. A short read proves that only if the edge said that there were bytes and nothing
  else: with the end, or urgent data, at which a read stops, more may be behind it.
* One may be told of nothing: its descriptor's number was another's when the kernel
  noted the event. So a read may find nothing, and then waits again.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias, final

import trio

__all__ = ["FEW", "Poller", "current_poller"]

VARIABLE: Final = "TRIO_TCP_TRANSPORT"
"""An environment variable that overrules the choice, for tests and measurements."""

CHOICES: Final = ("auto", "direct", "polled", "general")
"""Each socket as is best for it; never by way of the poller; always; and all sockets as
if they were any stream, of which nothing is known."""

MANY: Final = 8
"""How many sockets are many. (Measured: below about 4 it loses, from 8 it wins.)"""

FEW: Final = 3
"""How many are few again. Less than `MANY`, so that no socket moves to and fro."""

EVENTS_PER_PASS: Final = 64
"""How many sockets are told before other tasks have their turn: some of them answer at
once, each for as long as its function takes."""

Told: TypeAlias = Callable[[bool], None]
"""Called when something has come; the argument says that it is bytes alone. It must not
raise."""


@final
class Poller:
    """Tells sockets that something has come.

    Args:
        choice: of `CHOICES`.

    Attributes:
        allows_sockets: whether sockets are to be used directly at all.
        sockets: how many there are.
        wakes: how many times one was found to have something, in all.
    """

    __slots__ = (
        "_choice",
        "_epoll",
        "_is_running",
        "_told",
        "allows_sockets",
        "sockets",
        "wakes",
    )

    def __init__(self, choice: str) -> None:
        if choice not in CHOICES:
            raise ValueError(f"{VARIABLE} is one of {', '.join(CHOICES)}: {choice!r}")
        if choice == "auto" and not hasattr(select, "epoll"):
            choice = "direct"
        self._choice = choice
        self.allows_sockets: bool = choice != "general"
        self._told: dict[int, Told] = {}
        self._epoll: select.epoll | None = None
        self._is_running = False
        self.sockets: int = 0
        self.wakes: int = 0

    # The choice

    def guess(self) -> bool:
        """Say whether this is worth it for a socket of which nothing is known yet."""
        if self._choice == "auto":
            return self.sockets >= MANY
        return self._choice == "polled"

    def is_worth_it(self, last_wake: int, *, was: bool) -> bool:
        """Say whether this is worth it, for a socket that has been woken just now.

        How many others were woken since the last time tells how many are active.

        Args:
            last_wake: what `wakes` was then.
            was: the last answer.
        """
        if self._choice != "auto":
            return was
        active = self.wakes - last_wake
        return active > FEW if was else active >= MANY

    # Telling

    def add(self, fd: int, told: Told) -> None:
        """Tell this socket from now on, also of what is there already."""
        if self._epoll is None:
            self._epoll = select.epoll()
        if not self._is_running:
            self._is_running = True
            trio.lowlevel.spawn_system_task(self._run, name="trio_tcp poller")
        events = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
        self._epoll.register(fd, events)
        self._told[fd] = told

    def remove(self, fd: int) -> None:
        """Tell it no more. To be called before the socket is closed, or given away.

        Closing removes it by itself only where no copy of the descriptor is open, as in
        a child process.
        """
        del self._told[fd]
        if self._epoll is not None:
            with suppress(OSError):
                self._epoll.unregister(fd)

    async def _run(self) -> None:
        """Wait and tell, until Trio ends its system tasks, the last of all."""
        assert self._epoll is not None
        told, poll, bytes_alone = self._told, self._epoll.poll, select.EPOLLIN
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll)
                while True:
                    events = poll(0, EVENTS_PER_PASS)
                    self.wakes += len(events)
                    for fd, event in events:
                        if tell := told.get(fd):
                            tell(event == bytes_alone)
                    if len(events) < EVENTS_PER_PASS:
                        break
                    await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            self._is_running = False
            self._epoll.close()
            self._epoll = None


_pollers: trio.lowlevel.RunVar[Poller] = trio.lowlevel.RunVar("trio_tcp.poller")


def current_poller() -> Poller:
    """Return the one of this run of Trio."""
    try:
        return _pollers.get()
    except LookupError:
        poller = Poller(os.environ.get(VARIABLE, "auto"))
        _pollers.set(poller)
        return poller
