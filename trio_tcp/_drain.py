"""Ending a server in order, in stages.

Nothing that was accepted from a client, or promised to it, is to be lost, and the whole
is to end in a known time. So: nobody is accepted any more; those who have not finished
a handshake have asked for nothing, and are closed; connections that wait for a message
are told that there will be none; those at work may finish. When the grace is over, the
handlers that are left are cancelled, and what they had sent is delivered all the same.
What has not ended soon after that is reset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import trio

from trio_tcp._closing import Ending
from trio_tcp._events import DrainReport

__all__ = ["Drain"]

ABORT_SECONDS: Final = 5.0
"""How long after the grace a cancelled handler may take to clean up, and a peer to read
what it was sent. (Ranch and ThousandIsland kill at once.)"""

PASSES_TO_BEGIN: Final = 2
"""A client that a listener in memory has accepted is seen by the accept loop in the
next pass of the scheduler, and has begun in the one after. Sockets need only one."""


@final
class Drain:
    """The drain of one server, as far as it has come.

    Args:
        connections: returns those that are open now.
        handshakes: the scopes of clients that have no connection yet.

    Attributes:
        report: how it went; None before.
    """

    def __init__(
        self,
        connections: Callable[[], list[Ending]],
        handshakes: set[trio.CancelScope],
    ) -> None:
        self.report: DrainReport | None = None
        self._connections = connections
        self._handshakes = handshakes
        self._over = trio.Event()
        self._grace = trio.CancelScope()
        self._one_less = trio.Event()
        self._began_at = trio.current_time()
        self._ended = 0

    def hurry(self, grace: float) -> None:
        """Let the grace be over so many seconds from now, unless it is sooner."""
        end = trio.current_time() + grace
        self._grace.deadline = min(self._grace.deadline, end)

    def note_end(self) -> None:
        """Note that a connection has ended."""
        self._ended += 1
        self._one_less.set()

    async def wait(self) -> DrainReport:
        """Wait until it is over."""
        await self._over.wait()
        assert self.report is not None
        return self.report

    async def run(self) -> None:
        """Go through the stages. If cancelled, what is left counts as cancelled."""
        for _ in range(PASSES_TO_BEGIN):
            await trio.lowlevel.cancel_shielded_checkpoint()
        handshakes = len(self._handshakes)
        for scope in self._handshakes:
            scope.cancel()
        finished = aborted = 0
        try:
            try:
                with self._grace:
                    await self._until_none_is_left()
            finally:
                finished = self._ended
            for ending in self._connections():
                ending.cancel()
            with trio.move_on_after(ABORT_SECONDS):
                await self._until_none_is_left()
            for ending in self._connections():
                ending.abort()
                aborted += 1
        finally:
            total = self._ended + len(self._connections())
            self.report = DrainReport(
                finished=finished,
                cancelled=total - finished - aborted,
                aborted=aborted,
                handshakes=handshakes,
                seconds=trio.current_time() - self._began_at,
            )
            self._over.set()

    async def _until_none_is_left(self) -> None:
        while self._connections():
            self._one_less = trio.Event()
            await self._one_less.wait()
