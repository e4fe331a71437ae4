"""Reading ahead of the receiver, to see the end of the stream while nobody receives.

The end of a TCP stream stands behind all its bytes, so whoever wants to see it must
take these first. They are kept here until they are received, up to what one read gives;
behind more than that, the end stays out of sight until somebody receives. Connections
that nobody watches read without this.
"""

from __future__ import annotations

from typing import final

import trio

from trio_tcp._budget import Budget
from trio_tcp._transport import READ_BYTES, Transport

__all__ = ["ReadAhead"]


@final
class ReadAhead:
    """A transport's receiving side, shared by a receiver and those who watch its end.

    Args:
        transport: below.
        budget: counts what is held here.
        receiver_here: a receiver reads from it already, past this. `receiver_left` is
            called when it does not any more.

    Attributes:
        ended: the stream has ended, well or badly.
        error: how, if badly.
        closed: there is nothing more to watch.
        watchers: how many tasks wait for the end.
    """

    __slots__ = (
        "_budget",
        "_changed",
        "_held",
        "_interrupted",
        "_receiver_here",
        "_transport",
        "_watcher_reads",
        "closed",
        "ended",
        "error",
        "watchers",
    )

    def __init__(
        self, transport: Transport, budget: Budget, *, receiver_here: bool
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._held = bytearray()
        self._receiver_here = receiver_here  # it reads, or is about to
        self._watcher_reads = False
        self._interrupted = False
        self._changed = trio.lowlevel.ParkingLot()
        self.ended = False
        self.error: Exception | None = None
        self.closed = False
        self.watchers = 0

    async def receive_some(self) -> bytes:
        """As the transport's; for the one receiver."""
        self._receiver_here = True
        self._interrupted = False
        try:
            if self._watcher_reads:
                self._transport.interrupt_receive()
                while self._watcher_reads:
                    await self._changed.park()
            if self._held:
                return self.take()
            if self._interrupted:
                raise trio.ClosedResourceError("receiving was interrupted")
            if not self.ended:
                return await self._read()
            if self.error is not None:
                raise self.error
            return b""
        finally:
            self.receiver_left()

    def receiver_left(self) -> None:
        """Note that the receiver reads no more: those who watch may."""
        self._receiver_here = False
        self._changed.unpark_all()

    def interrupt_receive(self) -> None:
        """As the transport's; wakes those who watch, too."""
        self._interrupted = True
        self._transport.interrupt_receive()

    def is_quiet(self) -> bool:
        """As the transport's."""
        here = self._held or self.ended
        return not here and self._transport.is_quiet()

    @property
    def bytes_held(self) -> int:
        """How much has been read ahead."""
        return len(self._held)

    def take(self) -> bytes:
        """Return what has been read ahead, and hold it no more."""
        held = bytes(self._held)
        self._budget.held -= len(held)
        self._held.clear()
        return held

    async def wait_for_end(self) -> None:
        """Wait until the stream has ended; read what comes before, if it is not much.

        Cancellation:
            Loses nothing.
        """
        self.watchers += 1
        try:
            while not (self.ended or self.closed):
                await self._watch()
        finally:
            self.watchers -= 1

    async def _watch(self) -> None:
        """Read once, if that is this task's to do; or wait until something changes."""
        full = len(self._held) >= READ_BYTES
        if full or self._receiver_here or self._watcher_reads:
            await self._changed.park()
            return
        self._watcher_reads = True
        try:
            chunk = await self._read()
            self._held += chunk
            self._budget.held += len(chunk)
            if self._budget.held > self._budget.limit:
                self._budget.relieve()
        except trio.ClosedResourceError:
            pass  # interrupted, for the receiver or because it was closed
        except Exception:  # noqa: BLE001 - `_read` has kept it for the receiver
            pass
        finally:
            self._watcher_reads = False
            self._changed.unpark_all()

    def close(self) -> None:
        """There is nothing more to watch."""
        self.closed = True
        self._changed.unpark_all()

    async def _read(self) -> bytes:
        try:
            chunk = await self._transport.receive_some()
        except trio.ClosedResourceError:
            raise
        except Exception as error:
            self.ended, self.error = True, error
            raise
        if not chunk:
            self.ended = True
        return chunk
