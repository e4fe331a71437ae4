"""Connections that doze: no task runs their handler before it is needed.

A handler that only answers, with a plain function, does nothing most of the time, and
its task even less. So a server does not start it yet. Where the transport can hand over
what arrives, requests are answered there, and at the peer's end a connection on which
all is said is closed there. Whatever else happens, as an error, a deadline, a drain, a
reply that finds no room, *wakes* the connection: its handler is started in a task like
any other, and finds everything as if it had been waiting in `receive` all the time.

Each nursery in which connections doze has one task for all of them: it keeps the
nursery open, and when that is cancelled it wakes them, so that they are cancelled, too.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, Protocol, TypeGuard, final

import trio

from trio_tcp._connection import Connection

__all__ = ["Dozing", "Sleeper", "can_doze"]


class Sleeper(Protocol):
    """Answers the requests of one connection, and is its handler when it is needed."""

    def answer(self) -> bool:
        """Answer what is received; False if something is left to do for the handler."""
        ...

    async def __call__(self, connection: Connection[Any, Any], /) -> object:
        """Go on as a handler."""
        ...


class DozingHandler(Protocol):
    """A handler whose connections may doze."""

    def sleeper(self, connection: Connection[Any, Any], /) -> Sleeper:
        """Make what answers the requests of this connection."""
        ...


def can_doze(handler: object) -> TypeGuard[DozingHandler]:
    """Say whether this is a handler whose connections may doze."""
    # Not the object itself: a mock, for one, has every attribute that it is asked for.
    return hasattr(type(handler), "sleeper")


@final
class _Doze:
    """One connection that dozes."""

    __slots__ = ("_all", "_connection", "_context", "_is_answering", "_sleeper")

    def __init__(
        self, sleeper: Sleeper, connection: Connection[Any, Any], everybody: Dozing
    ) -> None:
        self._sleeper = sleeper
        self._connection = connection
        self._all = everybody
        self._context = contextvars.copy_context()  # as its task will have
        self._is_answering = False

    def begin(self) -> bool:
        """Start to doze; False if the transport has no use for that."""
        # These are parts of a connection, as this is one that has its own module.
        connection = self._connection
        if not (
            connection._incoming.may_wait_on  # noqa: SLF001
            and connection._transport.doze(self)  # noqa: SLF001
        ):
            return False
        self._connection._incoming.begin_to_doze(self)  # noqa: SLF001
        self._connection._ending.begin_life()  # noqa: SLF001
        return True

    def take(self, chunk: bytes) -> bool:
        """Take what has arrived, and answer it; False if that has ended the doze."""
        incoming = self._connection._incoming  # noqa: SLF001 - as above
        self._is_answering = True
        is_done = incoming.take_for(chunk, self._sleeper.answer, self._context)
        self._is_answering = False
        if is_done and incoming.may_wait_on:
            return True
        ending = self._connection._ending  # noqa: SLF001 - as above
        if self._end():
            if is_done and ending.finish():
                self._all.finished(self._connection)
            else:
                self._start()
        return False

    def wake(self) -> None:
        """Start the handler."""
        # What the function itself does to its connection is seen when it returns.
        if not self._is_answering and self._end():
            self._start()

    def _end(self) -> bool:
        """Stop to doze; False if it did not doze any more."""
        if not self._all.remove(self._connection.id):
            return False
        self._connection._transport.doze(None)  # noqa: SLF001 - as above
        self._connection._incoming.stop_to_doze()  # noqa: SLF001 - as above
        return True

    def _start(self) -> None:
        self._context.run(self._all.start, self._connection, self._sleeper)


@final
class Dozing:
    """The connections of one server that doze.

    Args:
        nursery: where their handlers will run.
        start: starts a handler there.
        finished: is told of connections that ended without one.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        start: Callable[[Connection[Any, Any], Sleeper], None],
        finished: Callable[[Connection[Any, Any]], None],
    ) -> None:
        self.start: Callable[[Connection[Any, Any], Sleeper], None] = start
        self.finished: Callable[[Connection[Any, Any]], None] = finished
        self._nursery = nursery
        self._dozes: dict[int, _Doze] = {}
        self._is_kept = False
        self._may_grow = True
        self._over = trio.Event()

    def add(self, handler: DozingHandler, connection: Connection[Any, Any]) -> bool:
        """Let a connection doze; False if its transport has no use for that."""
        if not self._is_kept:
            self._nursery.start_soon(self._keep, name="trio_tcp dozing connections")
            self._is_kept = True
        doze = _Doze(handler.sleeper(connection), connection, self)
        if not doze.begin():
            return False
        self._dozes[connection.id] = doze
        return True

    def remove(self, connection_id: int) -> bool:
        """Note that a connection does not doze any more; False if it did not."""
        if self._dozes.pop(connection_id, None) is None:
            return False
        self._check_over()
        return True

    def close(self) -> None:
        """Say that no more connections come; those that doze go on."""
        self._may_grow = False
        self._check_over()

    def _check_over(self) -> None:
        if not self._dozes and not self._may_grow:
            self._over.set()

    async def _keep(self) -> None:
        try:
            await self._over.wait()
        finally:
            self._is_kept = False
            for doze in list(self._dozes.values()):
                doze.wake()
