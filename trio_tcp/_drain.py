"""Ending a server in order, in stages.

Nothing that was accepted from a client, or promised to it, is to be lost, and the whole
is to end in a known time. So: nobody is accepted any more; those who have not finished
a handshake have asked for nothing, and are closed; connections that wait for a message
are told that there will be none; those at work may finish. When the grace is over, the
handlers that are left are cancelled, and what they had sent is delivered all the same.
What has not ended soon after that is reset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from trio_tcp._closing import Ending
from trio_tcp._events import DrainReport

__all__ = ["Drain"]

ABORT_SECONDS: Final = 5.0
"""How long after the grace a cancelled handler may take to clean up, and a peer to read
what it was sent. (Ranch and ThousandIsland kill at once.)"""


@final
class Drain:
    """The drain of one server, as far as it has come.

    Args:
        connections: returns those that are open now.
        handlers: returns those whose handler still runs; of some of them, which it has
            closed or detached, the connection has ended already.
        wait_until_empty: waits until no client is left, whatever it was at.
        handshakes: returns how many clients were closed in the middle of one.

    Attributes:
        report: how it went; None before.
    """

    def __init__(
        self,
        connections: Callable[[], list[Ending]],
        handlers: Callable[[], list[Ending]],
        wait_until_empty: Callable[[], Awaitable[None]],
        handshakes: Callable[[], int],
    ) -> None:
        self.report: DrainReport | None = None
        self._connections = connections
        self._handlers = handlers
        self._wait_until_empty = wait_until_empty
        self._handshakes = handshakes
        self._over = trio.Event()
        self._grace = trio.CancelScope()
        self._began_at = trio.current_time()
        self._ended = 0

    def hurry(self, grace: float) -> None:
        """Let the grace be over so many seconds from now, unless it is sooner."""
        end = trio.current_time() + grace
        self._grace.deadline = min(self._grace.deadline, end)

    def note_end(self) -> None:
        """Note that a connection has ended."""
        self._ended += 1

    async def wait(self) -> DrainReport:
        """Wait until it is over."""
        await self._over.wait()
        assert self.report is not None
        return self.report

    async def run(self) -> None:
        """Go through the stages. If cancelled, what is left counts as cancelled."""
        finished = aborted = 0
        try:
            try:
                with self._grace:
                    await self._wait_until_empty()
            finally:
                finished = self._ended
            for ending in self._handlers():
                ending.cancel()
            with trio.move_on_after(ABORT_SECONDS):
                await self._wait_until_empty()
            for ending in self._connections():
                ending.reset()
                aborted += 1
        finally:
            for ending in self._handlers():
                ending.protect_close(protected=False)
            total = self._ended + len(self._connections())
            self.report = DrainReport(
                finished=finished,
                cancelled=total - finished - aborted,
                aborted=aborted,
                handshakes=self._handshakes(),
                seconds=trio.current_time() - self._began_at,
            )
            self._over.set()
