"""When one who tells many gives way to other tasks: counted, so that runs repeat.

Messages that are told in one pass of the scheduler leave together, in one system call
for each connection. A schedule point after each would have each leave alone, which
costs several times as much; none at all would keep others from running.
"""

from __future__ import annotations

from typing import Final, final

import trio

__all__ = ["Turns"]

CALLS: Final = 64
"""So many calls at most in one pass of the scheduler, as with `Connection.send`."""

DELIVERIES: Final = 32_768
"""And so many deliveries: some tens of milliseconds of work, so that a few messages to
ten thousand still leave together."""


@final
class Turns:
    """Counts what is told, for whoever shares this.

    The count begins anew whenever others have had their turn, and these are the same
    others for all who share it.
    """

    __slots__ = ("_calls", "_deliveries")

    def __init__(self) -> None:
        self._calls = 0
        self._deliveries = 0

    async def took(self, deliveries: int) -> None:
        """Count one call, and be a schedule point if it was one too many.

        Cancellation:
            Shielded: what is told is told, and `trio.Cancelled` would deny it.
        """
        self._calls += 1
        self._deliveries += deliveries
        if self._calls >= CALLS or self._deliveries >= DELIVERIES:
            await self.give_way()

    async def give_way(self) -> None:
        """Be a schedule point, and count anew.

        Cancellation:
            Shielded, as `took`.
        """
        self._calls = self._deliveries = 0
        await trio.lowlevel.cancel_shielded_checkpoint()
