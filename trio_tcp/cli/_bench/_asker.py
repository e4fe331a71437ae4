"""One connection of a run in which each message has a reply.

A client that waits for a reply and sends the next request is, seen from the other end,
what a server is: something arrives, and something is sent for it. So it is driven by
`trio_tcp.respond`, whose function is called where the bytes arrive: no task is woken
for a reply, and several that came together are followed by one system call.

But a server stops to read while its peer takes nothing of what it says, and where both
ends do that, they wait for each other for ever. So where the requests in flight may be
more than a connection queues, a task receives the replies, whatever becomes of the
requests.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, final

import trio

import trio_tcp
from trio_tcp._outgoing import HIGH_WATER_BYTES
from trio_tcp.cli._bench._failures import MALFORMED, TIMED_OUT, WRONG_REPLY

if TYPE_CHECKING:
    from trio_tcp.cli._bench._load import Load

__all__ = ["Asker", "Connection"]

Connection: TypeAlias = trio_tcp.Connection[Any, bytes]


@final
class Asker:
    """Sends requests over a connection, and measures when the replies come.

    Args:
        load: to which it belongs.
        connection: with the codec `Prepared`.
        nursery: lives as long as the connection.
    """

    __slots__ = (
        "_check",
        "_connection",
        "_corrects",
        "_frames",
        "_idle",
        "_load",
        "_nursery",
        "_pending",
        "_take",
        "_tally",
        "_unsent",
    )

    def __init__(
        self, load: Load, connection: Connection, nursery: trio.Nursery
    ) -> None:
        self._load = load
        self._connection = connection
        self._nursery = nursery
        self._tally = load.tally
        self._take = load.schedule.take
        self._frames = load.frames
        self._idle = load.idle
        self._check = load.plan.is_expected
        self._corrects = load.plan.rate is not None
        # When each was due and sent, and which message it was: the oldest first.
        self._pending: deque[tuple[float, float, int]] = deque()
        self._unsent: deque[bytes] = deque()  # for which the connection has no room

    @property
    def outstanding(self) -> int:
        """How many replies are awaited."""
        return len(self._pending)

    async def run(self) -> None:
        """Ask until the connection ends, or is closed here.

        Raises:
            ConnectionFault: why it ended.
        """
        self._load.askers.add(self)
        try:
            self.offer()
            if self._load.plan.bytes_in_flight < HIGH_WATER_BYTES:
                respond = trio_tcp.respond(self._on_reply, on_error=self._on_error)
                await respond(self._connection)
            else:
                await self._receive_all()
        finally:
            self._leave()
        raise trio_tcp.PeerClosed("the server has closed")

    async def _receive_all(self) -> None:
        connection = self._connection
        while True:
            try:
                frame = self._on_reply(await connection.receive())
            except trio_tcp.MalformedMessageError as error:
                frame = self._on_error(error, None)
            if frame is not None:
                self._send_frame(frame)

    def offer(self) -> None:
        """Send the requests that are due and may be in flight; wait for the others."""
        for _ in range(self._load.plan.in_flight):
            now = trio.current_time()
            due = self._take(now)
            if due is None:
                self._wait(now)
            else:
                self.send(due, now)

    def send(self, due: float, now: float) -> None:
        """Send a request."""
        number, frame = next(self._frames)
        self._pending.append((due, now, number))
        self._send_frame(frame)

    def _send_frame(self, frame: bytes) -> None:
        if self._unsent:
            self._unsent.append(frame)
            return
        try:
            self._connection.send_nowait(frame)
        except trio.WouldBlock:
            self._unsent.append(frame)
            self._nursery.start_soon(self._send_unsent)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # as the receiving side is told, too

    async def _send_unsent(self) -> None:
        try:
            while self._unsent:
                await self._connection.send(self._unsent[0])
                self._unsent.popleft()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # likewise

    def _on_reply(self, reply: object) -> bytes | None:
        """Note a reply, and return the next request if one is due."""
        now = trio.current_time()
        if not self._pending:
            raise trio_tcp.UnexpectedReplyError
        due, sent, number = self._pending.popleft()
        tally = self._tally
        if not self._check(number, reply):
            tally.errors[WRONG_REPLY] += 1
        elif due >= tally.begin:
            tally.latencies.append(now - due)
            if self._corrects:
                tally.uncorrected.append(now - sent)
        return self._next(now)

    def _next(self, now: float) -> bytes | None:
        due = self._take(now)
        if due is None:
            self._wait(now)
            return None
        number, frame = next(self._frames)
        self._pending.append((due, now, number))
        return frame

    def _on_error(self, error: Exception, _reply: object) -> bytes | None:
        """Note a reply that makes no sense; whatever else it is ends the connection."""
        if not (isinstance(error, trio_tcp.MalformedMessageError) and self._pending):
            raise error
        self._tally.errors[MALFORMED] += 1
        self._pending.popleft()
        return self._next(trio.current_time())

    def _wait(self, now: float) -> None:
        """Have room for a request, of which none is due."""
        self._tally.last_reply = now
        self._idle.append(self)
        self._load.pacer_may_go_on()

    def expire(self, sent_before: float) -> None:
        """Give the connection up if a reply to what was sent before is not there."""
        if self._pending and self._pending[0][1] < sent_before:
            self._tally.errors[TIMED_OUT] += 1
            self._connection.abort()

    def _leave(self) -> None:
        begin = self._tally.begin
        self._tally.unanswered += sum(due >= begin for due, _, _ in self._pending)
        self._pending.clear()
        self._load.askers.remove(self)
        for _ in range(self._idle.count(self)):
            self._idle.remove(self)
