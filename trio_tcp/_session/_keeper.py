"""The task that holds one connection of a session, and what it knows about its end."""

from __future__ import annotations

from typing import Final, Generic, TypeVar, cast, final

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import (
    ConnectionClosedError,
    ConnectionFault,
    Drained,
    MalformedMessageError,
    PeerClosed,
)
from trio_tcp._events import CloseReason
from trio_tcp._nursery import leaves
from trio_tcp._reconnecting import OUR_DOING, Reconnector, is_failure

__all__ = ["Break", "Keeper"]

In = TypeVar("In")
Out = TypeVar("Out")

IN_ORDER: Final = (PeerClosed, Drained, ConnectionClosedError)
"""Ends after which a connection is closed gracefully, as by a server."""


@attrs.frozen
class Break:
    """How one connection of a session ended.

    TCP cannot say which messages have arrived: only the peer can, in messages. So of
    those that were accepted, each that is not confirmed may or may not have arrived.
    The session sends none of them again.

    Attributes:
        connection_id: `Connection.id` of the connection that ended.
        reason: why; `CloseReason.CLOSED` where the loop's body was done with it.
        error: the exception that goes with it, if there is one.
        seconds: how long the loop's body had it.
        unconfirmed: how many of the messages that the loop's body has sent, the last
            ones, may not have arrived. See `Session.confirm`.
    """

    connection_id: int
    reason: CloseReason
    error: BaseException | None
    seconds: float
    unconfirmed: int


@final
class Keeper(Generic[In, Out]):
    """Opens a connection, holds it until it is let go, and closes it: in one task."""

    __slots__ = (
        "_confirmed",
        "_connection",
        "_fault",
        "_is_closed",
        "_is_released",
        "_ready_at",
        "_reconnector",
        "_released_at",
        "_sent_before",
    )

    def __init__(self, reconnector: Reconnector[In, Out]) -> None:
        self._reconnector = reconnector
        self._connection: Connection[In, Out] | None = None
        self._fault: ConnectionFault | None = None  # that was contained
        self._is_released = trio.Event()
        self._is_closed = trio.Event()
        self._ready_at = self._released_at = 0.0
        self._sent_before = 0
        self._confirmed = 0

    async def keep(
        self, task_status: trio.TaskStatus[Connection[In, Out] | Exception]
    ) -> None:
        """Start with a connection, or with why there is none; run until it is closed.

        The reason is no exception of this task, from which `trio.Nursery.start` would
        take its cause (in Trio 0.30).
        """
        try:
            async with self._reconnector.next() as connection:
                self._connection = connection
                self._ready_at = trio.current_time()
                self._sent_before = connection.statistics().messages_sent
                task_status.started(connection)
                await self._is_released.wait()
                await self._close(connection)
        except Exception as error:
            if self._connection is None:
                task_status.started(error)
            elif not is_failure(error):
                raise
        finally:
            self._is_closed.set()

    async def _close(self, connection: Connection[In, Out]) -> None:
        if self._fault is not None and not isinstance(self._fault, IN_ORDER):
            raise self._fault
        await connection.aclose()
        if connection.close_reason in OUR_DOING:
            # Else it would count for nothing, and a body that does nothing would
            # connect as fast as it can.
            done = ConnectionClosedError("the loop's body was done with it")
            done.connection_id = connection.id
            raise done

    async def let_go(self) -> None:
        """Have the connection closed, and wait until it is."""
        if not self._is_released.is_set():
            self._released_at = trio.current_time()
            self._is_released.set()
        await self._is_closed.wait()

    def abort(self) -> None:
        """Break the connection."""
        if self._connection is not None:
            self._connection.abort()

    def contain(self, error: BaseException) -> BaseException | None:
        """Keep what an exception says about the connection's end; return the rest."""
        assert self._connection is not None
        faults, rest = _split(error, self._connection.id)
        for fault in faults:
            # Its frames hold the connection, and all that the body had in hand.
            fault.__traceback__ = None
            if self._fault is None or isinstance(self._fault, IN_ORDER):
                self._fault = fault
        return rest

    def confirm(self, count: int) -> None:
        """Note that so many more messages have arrived, as `Session.confirm`."""
        if not 0 <= count <= self._unconfirmed():
            raise ValueError(
                f"{count} messages cannot have arrived: "
                f"{self._unconfirmed()} of those sent are unconfirmed"
            )
        self._confirmed += count

    def _unconfirmed(self) -> int:
        if self._connection is None:
            return 0
        sent = self._connection.statistics().messages_sent - self._sent_before
        return sent - self._confirmed

    def end(self) -> Break:
        """Say how the connection ended, once it is let go."""
        connection = self._connection
        assert connection is not None
        reason = connection.close_reason or CloseReason.CLOSED
        if isinstance(self._fault, MalformedMessageError):
            reason = CloseReason.PROTOCOL_ERROR
        return Break(
            connection_id=connection.id,
            reason=reason,
            error=self._fault or connection.close_error,
            seconds=self._released_at - self._ready_at,
            unconfirmed=self._unconfirmed(),
        )


def _split(
    error: BaseException, connection_id: int
) -> tuple[list[ConnectionFault], BaseException | None]:
    """Take the faults of one connection out of an exception."""

    def is_about_it(error: BaseException) -> bool:
        return (
            isinstance(error, ConnectionFault) and error.connection_id == connection_id
        )

    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        faults, rest = group.split(is_about_it)
        return cast("list[ConnectionFault]", list(leaves(faults))), rest
    if is_about_it(error):
        return [cast("ConnectionFault", error)], None
    return [], error
