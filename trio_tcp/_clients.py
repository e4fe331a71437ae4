"""What a server does with each client that it accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

import trio

from trio_tcp._admission import Admission
from trio_tcp._arrival import Arrival, Arrivals
from trio_tcp._connection import Connection
from trio_tcp._dozing import Dozing, can_doze
from trio_tcp._group import Group
from trio_tcp._options import Timeouts
from trio_tcp._serve_connection import Handler, serve_connection
from trio_tcp._transport import Transport
from trio_tcp.codecs import Codec

__all__ = ["Clients"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
class Clients(Generic[In, Out]):
    """Serves the clients of one server, each in a task of its own, if it needs one.

    Args:
        handler: the user's.
        codec: of all connections.
        timeouts: of all connections, at first.
        admission: has the slots.
        arrivals: sees the clients in.
        group: of the connections.
        nursery: where the tasks run.
        enlist: lists each connection.
        note_served: is told when its handler has ended.
    """

    def __init__(
        self,
        *,
        handler: Handler[In, Out],
        codec: Codec[In, Out],
        timeouts: Timeouts,
        admission: Admission,
        arrivals: Arrivals,
        group: Group,
        nursery: trio.Nursery,
        enlist: Callable[[Connection[Any, Any]], None],
        note_served: Callable[[Connection[Any, Any]], None],
    ) -> None:
        self._handler = handler
        self._codec = codec
        self._timeouts = timeouts
        self._admission = admission
        self._arrivals = arrivals
        self._group = group
        self._nursery = nursery
        self._enlist = enlist
        self._note_served = note_served
        self._note_end = self._release  # once: each time it is an object
        self._dozing = Dozing(nursery, self._start_handler, self._note_end)

    def start(self, transport: Transport) -> None:
        """Start to serve a client, or to refuse it."""
        if limit := self._admission.take():
            self._nursery.start_soon(self._arrivals.refuse, transport, limit)
            return
        if self._arrivals.take_time or not self._admission.enter(transport.peer):
            self._nursery.start_soon(self._arrive, transport, name=self._handler)
            return
        connection = self._connect(Arrival(transport))
        handler = self._handler
        if can_doze(handler) and self._dozing.add(handler, connection):
            return
        self._start_handler(connection, self._handler)

    def close(self) -> None:
        """Say that nobody else comes."""
        self._dozing.close()

    def _connect(self, arrival: Arrival) -> Connection[In, Out]:
        connection = Connection(
            arrival.transport,
            id=arrival.id,
            codec=self._codec,
            timeouts=self._timeouts,
            group=self._group,
            # As it was: one that is gone has no address any more.
            peer=arrival.peer,
            proxy_header=arrival.header,
            received=arrival.received,
            awaits_first=True,
        )
        self._enlist(connection)
        return connection

    def _start_handler(
        self, connection: Connection[In, Out], handler: Handler[In, Out]
    ) -> None:
        self._nursery.start_soon(
            serve_connection, handler, connection, self._note_end, name=self._handler
        )

    async def _arrive(self, transport: Transport) -> None:
        try:
            arrival = await self._arrivals.see_in(transport)
        except BaseException:
            self._admission.give_back()
            raise
        if arrival is None:
            self._admission.give_back()
        else:
            connection = self._connect(arrival)
            await serve_connection(self._handler, connection, self._note_end)

    def _release(self, connection: Connection[In, Out]) -> None:
        self._note_served(connection)
        self._admission.leave(connection.peer)
        self._admission.give_back()
