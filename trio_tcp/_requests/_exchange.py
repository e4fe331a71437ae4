"""Requests out, replies in: over one connection, from its first request to its end.

There is one reader, and no writer: who asks sends its own request if there is room, and
otherwise stands in line. What makes room sends for those in line, without waking them:
the reader when a reply has come, or, where the connection's queue is full, a task that
waits for it. So each request wakes its task once, with the reply. Requests that are
made while others are in flight go out together in the next pass of the scheduler.

The clock of ``reply_timeout`` is about the connection and not about one request: it
runs while requests are in flight, and begins anew with each reply. A long pipeline is
not late as long as it moves. After that time without any reply the connection is given
up, so that requests which were cancelled cannot fill the window for ever.

Where nothing more can be sent, or the server drains, what is in flight may still be
answered. The exchange ends when nothing can be answered any more.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import (
    ConnectionFault,
    Drained,
    MalformedMessageError,
    PeerTooSlowError,
    UnexpectedReplyError,
)
from trio_tcp._requests._requests import Requests, nowhere
from trio_tcp._requests._window import Request

__all__ = ["Exchange"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
class Exchange(Generic[In, Out]):
    """One connection's part in what a requester does.

    It is also the `Timer` of ``reply_timeout``.

    Attributes:
        deadline: when the next reply must have come; see `Timer`.
        looked_at: see `Timer`.
    """

    __slots__ = (
        "_connection",
        "_fault",
        "_is_stuck",
        "_nursery",
        "_outgoing",
        "_reader",
        "_requests",
        "_timers",
        "deadline",
        "looked_at",
    )

    def __init__(
        self,
        connection: Connection[In, Out],
        requests: Requests[In, Out],
        nursery: trio.Nursery,
    ) -> None:
        """Begin to send what is in line.

        Args:
            connection: nobody else may receive from it.
            requests: those of the requester.
            nursery: for a task that waits where the connection's queue is full.

        Raises:
            trio.BusyResourceError: somebody receives from the connection.
        """
        # As a module of this package may: a request is sent as the connection would
        # send a message, but together with others and without waiting.
        if connection._incoming.receiving:  # noqa: SLF001 - see above
            raise trio.BusyResourceError("another task is receiving already")
        self._outgoing = connection._outgoing  # noqa: SLF001 - see above
        self._timers = connection._group.timers  # noqa: SLF001 - see above
        self._connection = connection
        self._requests = requests
        self._nursery = nursery
        self._reader = trio.CancelScope()
        self._fault: ConnectionFault | None = None  # why nothing is sent any more
        self._is_stuck = False  # the connection's queue is full
        self.deadline: float = math.inf
        self.looked_at: float = math.inf
        self._timers.open()
        requests.send_line = self.send_line
        self.send_line()

    # Sending

    def send_line(self) -> None:
        """Send what waits in line, as far as there is room."""
        requests = self._requests
        line, window = requests.line, requests.window
        max_in_flight = requests.rules.max_in_flight
        while line and len(window) < max_in_flight and self._fault is None:
            request = line[0]
            try:
                is_sent = self._send(request)
            except Exception as error:  # noqa: BLE001 - a codec may raise any
                line.popleft()
                request.fail(error)
                continue
            if not is_sent:
                return
            line.popleft()

    def _send(self, request: Request[In, Out]) -> bool:
        """Commit one request, if there is room for it in the connection's queue.

        Raises:
            RequestIdInUseError: it cannot be told from another.
            EncodeError: the codec cannot carry it.
        """
        window = self._requests.window
        window.check(request)
        if request.data is None:
            request.data = self._connection._codec.encode(request.message)  # noqa: SLF001 - as above
        try:
            if not self._commit(request.data, gather=len(window) > 0):
                self._wait_for_room()
                return False
        except ConnectionFault as fault:
            self.stop(fault)
            return False
        request.is_sent = True
        request.data = None
        window.add(request)
        if len(window) == 1:
            self._restart_clock()
        return True

    def _commit(self, data: bytes, *, gather: bool) -> bool:
        if not self._outgoing.commit(data, gather=gather):
            self._outgoing.give()
            if not self._outgoing.commit(data, gather=gather):
                return False
        self._outgoing.messages_sent += 1
        return True

    def _wait_for_room(self) -> None:
        if not self._is_stuck:
            self._is_stuck = True
            # Now, not when the task runs: what is queued may all be sent by then.
            progress = self._outgoing.next_progress()
            self._nursery.start_soon(self._send_when_there_is_room, progress)

    async def _send_when_there_is_room(self, progress: trio.Event) -> None:
        await progress.wait()
        self._is_stuck = False
        self.send_line()

    def stop(self, fault: ConnectionFault) -> None:
        """Send nothing more because of this, and end when nothing is in flight."""
        if self._fault is None:
            self._fault = fault
        if not self._requests.window:
            self._reader.cancel()

    def close(self, fault: ConnectionFault) -> None:
        """End at once. What is in flight is lost, and its replies must go nowhere."""
        if self._requests.window:
            self._connection.abort()
        self._requests.lose(fault)
        self.stop(fault)

    # Receiving

    async def run(self) -> ConnectionFault:
        """Deliver replies until the connection ends.

        Returns:
            Why it ended. What is in flight then stays in the window.

        Cancellation:
            Likewise; the connection is left as it is.
        """
        try:
            with self._reader:
                try:
                    await self._deliver()
                except Drained as drained:
                    # A dialogue is under way, which the server waits for.
                    with self._connection.busy():
                        self.stop(drained)
                        await self._deliver()
        except ConnectionFault as fault:
            # It becomes the cause of others. Its frames would hold the connection.
            self._fault = fault.with_traceback(None)
        finally:
            self._requests.send_line = nowhere
            self._timers.close(self)
        assert self._fault is not None
        return self._fault

    async def _deliver(self) -> None:
        """Deliver messages as long as any are waited for.

        Raises:
            ConnectionFault: none will come.
        """
        requests = self._requests
        while self._fault is None or requests.window:
            try:
                message = await self._connection.receive()
            except MalformedMessageError as error:
                self._deliver_malformed(error)
            else:
                if not self._deliver_message(message):
                    continue
            self._restart_clock()
            if requests.line:
                self.send_line()

    def _deliver_message(self, message: In) -> bool:
        """Deliver it; False if nobody had asked for it."""
        try:
            return self._requests.deliver(message)
        except UnexpectedReplyError as error:
            raise self._give_up(error) from None
        except Exception as cause:
            malformed = MalformedMessageError("nobody can say whose reply this is")
            raise self._give_up(malformed) from cause

    def _deliver_malformed(self, error: MalformedMessageError) -> None:
        request = self._requests.window.take_malformed()
        if request is None:
            raise self._give_up(error)
        request.fail(error)

    def _give_up(self, error: ConnectionFault) -> ConnectionFault:
        """Break the connection: what it delivers cannot be relied on."""
        self._connection._ending.give_up(error)  # noqa: SLF001 - as above
        return error

    # Time

    def _restart_clock(self) -> None:
        """Give the peer its full time again, if anything is waited for."""
        if not self._requests.window:
            self.deadline = math.inf
            return
        self.deadline = self._timers.now() + self._requests.rules.reply_timeout
        if self.deadline < self.looked_at:
            self._timers.look(self)

    def expire(self) -> None:
        """Break the connection: no reply has come for too long."""
        self._give_up(PeerTooSlowError("reply", self._requests.rules.reply_timeout))
