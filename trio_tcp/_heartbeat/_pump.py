"""Messages received a little ahead of whoever wants them.

Some of what a peer sends is not for the handler: the answers of a heartbeat. Somebody
has to receive them while the handler works, so a task reads on, takes out what is not
the handler's, and keeps the rest until it is asked for. How much it keeps is bounded;
behind that, the kernel tells the peer to wait, as ever.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, TypeVar, final

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, MalformedMessageError

__all__ = ["Pump"]

In = TypeVar("In")

AHEAD_MESSAGES: Final = 16
"""Kept for the handler at most. Enough to see past a few requests that were sent ahead;
few enough to be no second queue in front of the handler."""

AHEAD_BYTES: Final = 64 << 10
"""Read ahead at most, and one message: as much as one read gives a connection."""


@attrs.frozen
class _Ahead:
    """What one call of `Connection.receive` has given.

    Attributes:
        message: if it was one.
        error: if its content was bad.
        position: bytes that had been received before.
    """

    message: Any
    error: MalformedMessageError | None
    position: int


@final
class Pump(trio.abc.ReceiveChannel[In]):
    """The messages of a connection, but for those that somebody takes out.

    Args:
        connection: which only `run` receives from.
        takes_out: says of each message whether it is not for the receiver.

    Attributes:
        heard: how many messages have come, the bad ones too.
        heard_at: when the last one came, or when reading went on after a pause.
        is_reading: False while enough is kept: the peer is not late.
    """

    def __init__(
        self, connection: Connection[In, Any], takes_out: Callable[[In], bool]
    ) -> None:
        self.heard: int = 0
        self.heard_at: float = trio.current_time()
        self.is_reading: bool = True
        self._connection = connection
        # As the connection itself would: this is a part of it that has its own module.
        self._incoming = connection._incoming  # noqa: SLF001
        self._takes_out = takes_out
        self._ahead: deque[_Ahead] = deque()
        self._end: Exception | None = None  # what receiving ends with
        self._has_receiver = False
        self._filled = trio.lowlevel.ParkingLot()
        self._emptied = trio.lowlevel.ParkingLot()
        self._spoken = trio.lowlevel.ParkingLot()
        self._at_work = ExitStack()
        self._work()

    @property
    def bytes_received(self) -> int:
        """From the stream, also of a message that is not whole."""
        return self._incoming.bytes_received

    # The receiver's

    async def receive(self) -> In:
        """Wait for the next message; as `Connection.receive`.

        After the end of the block it returns what was read ahead, then raises
        `trio.ClosedResourceError`.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._has_receiver:
            raise trio.BusyResourceError("another task is receiving already")
        while not self._ahead:
            if self._end is not None:
                raise self._ending()
            await self._wait()
        ahead = self._ahead.popleft()
        self._emptied.unpark_all()
        if ahead.error is not None:
            raise ahead.error
        message: In = ahead.message
        return message

    def _ending(self) -> Exception:
        end = self._end
        assert end is not None
        if not isinstance(end, ConnectionFault):
            return end
        # A new one each time, as the connection does: its traceback will hold frames.
        error = copy.copy(end)
        error.__cause__ = end.__cause__
        return error

    async def _wait(self) -> None:
        """Wait for something to change, while a drain may send the receiver away."""
        self._has_receiver = True
        self._at_work.close()
        try:
            await self._filled.park()
        finally:
            self._has_receiver = False
            if self._end is None:
                self._work()

    def _work(self) -> None:
        """Let a drain wait, as it does where a handler does not receive."""
        self._at_work.enter_context(self._connection.busy())

    async def aclose(self) -> None:
        """Close the connection: see `Connection.aclose`."""
        await self._connection.aclose()

    # The owner's

    async def run(self) -> None:
        """Receive until nothing more can be.

        Raises:
            Exception: what ``takes_out`` raises.
        """
        while self._end is None:
            if self._is_full():
                self.is_reading = False
                await self._emptied.park()
                continue
            if not self.is_reading:
                self.is_reading = True
                self.heard_at = trio.current_time()
            await self._receive()

    async def _receive(self) -> None:
        position = self._incoming.bytes_received
        try:
            message = await self._connection.receive()
        except MalformedMessageError as error:
            self._note()
            self._keep(_Ahead(None, error, position))
        except ConnectionFault as error:
            self.end(error.with_traceback(None))
        except Exception as error:  # noqa: BLE001 - it is for the receiver
            self.end(error)
        else:
            self._note()
            if not self._takes_out(message):
                self._keep(_Ahead(message, None, position))

    def _note(self) -> None:
        self.heard += 1
        self.heard_at = trio.current_time()
        self._spoken.unpark_all()

    def _keep(self, ahead: _Ahead) -> None:
        self._ahead.append(ahead)
        self._filled.unpark_all()

    def _is_full(self) -> bool:
        if not self._ahead:
            return False
        held = self._incoming.bytes_received - self._ahead[0].position
        return held >= AHEAD_BYTES or len(self._ahead) >= AHEAD_MESSAGES

    async def wait_until_heard(self) -> None:
        """Wait for the next message, whose ever it is."""
        await self._spoken.park()

    @property
    def silent_since(self) -> float:
        """Since when nothing was heard; `math.inf` while nobody listens."""
        return self.heard_at if self.is_reading else math.inf

    def end(self, error: Exception) -> None:
        """Receive nothing more; after what is kept, the receiver gets this."""
        if self._end is None:
            self._end = error
        self._at_work.close()
        self._filled.unpark_all()
        self._emptied.unpark_all()
