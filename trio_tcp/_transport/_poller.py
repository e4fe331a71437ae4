"""One edge-triggered epoll of our own, for sockets of which many are active.

To wait for a socket through Trio costs a system call and some bookkeeping each time.
Here a socket is registered once; one task waits for this epoll, through Trio, and tells
all sockets for which something has come. With one active socket that is a detour by way
of another task; with many it is shared by them.

So `SocketTransport` asks `Poller.guess` and `Poller.is_worth_it`: the one place where
that is decided. Where there is kqueue instead, what it is worth has not been measured,
so it is used only where `VARIABLE` says so; where there is neither, never.

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

from trio_tcp._transport._kqueue import HAS_KQUEUE, Kqueue

__all__ = ["FEW", "LONE_WAKES", "Poller", "current_poller"]

VARIABLE: Final = "TRIO_TCP_TRANSPORT"
"""An environment variable that overrules the choice, for tests and measurements."""

CHOICES: Final = ("auto", "direct", "polled", "general")
"""Each socket as is best for it; never by way of the poller; always; and all sockets as
if they were any stream, of which nothing is known."""

MANY: Final = 8
"""How many sockets are many. (Instructions for each message, as counted: with 2 active
sockets the poller loses 13 %, with 4 it is even, with 8 it wins 11 %, with 64 18 %.)"""

FEW: Final = 3
"""How many are few again. Less than `MANY`, so that no socket moves to and fro."""

LONE_WAKES: Final = 8
"""How many times in a row a socket has to be one of few before it waits by itself: one
that asks once and goes is not worth the system calls, whoever else is active."""

EVENTS_PER_PASS: Final = 64
"""How many sockets are told before other tasks have their turn: some of them answer at
once, each for as long as its function takes."""

HAS_EPOLL: Final = hasattr(select, "epoll")

BYTES_ALONE: Final = select.EPOLLIN if HAS_EPOLL else 1
"""What epoll tells where there are bytes and nothing else."""

EVENTS: Final = (
    select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
    if HAS_EPOLL
    else 0
)
"""What epoll is asked for."""

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
        is_over: this run of Trio has ended its system tasks. Async generators that are
            left are closed after that, and wait directly.
    """

    __slots__ = (
        "_choice",
        "_epoll",
        "_told",
        "allows_sockets",
        "is_over",
        "sockets",
        "wakes",
    )

    def __init__(self, choice: str) -> None:
        if choice not in CHOICES:
            raise ValueError(f"{VARIABLE} is one of {', '.join(CHOICES)}: {choice!r}")
        can_poll = HAS_EPOLL or (HAS_KQUEUE and choice == "polled")
        if choice in ("auto", "polled") and not can_poll:
            choice = "direct"
        self._choice = choice
        self.allows_sockets: bool = choice != "general"
        self._told: dict[int, Told] = {}
        self._epoll: select.epoll | Kqueue | None = None
        self.sockets: int = 0
        self.wakes: int = 0
        self.is_over: bool = False

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
            return self._choice == "polled"
        active = self.wakes - last_wake
        return active > FEW if was else active >= MANY

    # Telling

    def add(self, fd: int, told: Told) -> bool:
        """Tell this socket from now on, also of what is there already.

        Returns:
            Whether that was possible: the system may be out of descriptors or memory,
            or the run about to end.
        """
        try:
            if self._epoll is None:
                self._epoll = self._start()
            self._epoll.register(fd, EVENTS)
        except OSError:
            return False
        self._told[fd] = told
        return True

    def _start(self) -> select.epoll | Kqueue:
        """Start to wait.

        Raises:
            OSError: the system is out of descriptors; or it is too late for that.
        """
        if self.is_over:
            raise OSError("the run has ended")
        epoll = select.epoll() if HAS_EPOLL else Kqueue()
        try:
            trio.lowlevel.spawn_system_task(self._run, epoll, name="trio_tcp poller")
        except RuntimeError:  # Trio has ended its system tasks
            epoll.close()
            self._end()
            raise OSError("the run has ended") from None
        return epoll

    def _end(self) -> None:
        """Let all sockets wait directly from now on."""
        self._epoll = None
        self._choice = "direct"
        self.is_over = True
        for tell in list(self._told.values()):
            tell(False)

    def remove(self, fd: int) -> None:
        """Tell it no more. To be called before the socket is closed, or given away.

        Closing removes it by itself only where no copy of the descriptor is open, as in
        a child process.
        """
        del self._told[fd]
        if self._epoll is not None:
            with suppress(OSError):
                self._epoll.unregister(fd)

    async def _run(self, epoll: select.epoll | Kqueue) -> None:
        """Wait and tell, until Trio ends its system tasks, the last of all tasks."""
        told, poll, bytes_alone = self._told, epoll.poll, BYTES_ALONE
        try:
            while True:
                await trio.lowlevel.wait_readable(epoll.fileno())
                while True:
                    events = poll(0, EVENTS_PER_PASS)
                    self.wakes += len(events)
                    for fd, event in events:
                        # In no variable: it would keep the last socket from dying.
                        told.get(fd, _tell_nobody)(event == bytes_alone)
                    if len(events) < EVENTS_PER_PASS:
                        break
                    await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            epoll.close()
            self._end()


def _tell_nobody(_is_bytes_alone: bool) -> None:
    """A socket that was told of before in this pass has removed this one."""


_pollers: trio.lowlevel.RunVar[Poller] = trio.lowlevel.RunVar("trio_tcp.poller")


def current_poller() -> Poller:
    """Return the one of this run of Trio."""
    try:
        return _pollers.get()
    except LookupError:
        poller = Poller(os.environ.get(VARIABLE, "auto"))
        _pollers.set(poller)
        return poller
