"""What a server does with each stream that it accepts: a task, in which all else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

import attrs
import trio

from trio_tcp._admission import Admission
from trio_tcp._arrival import Arrivals
from trio_tcp._connection import Connection
from trio_tcp._group import Group
from trio_tcp._options import Timeouts
from trio_tcp._serve_connection import Handler, serve_connection
from trio_tcp._transport import Transport
from trio_tcp.codecs import Codec

__all__ = ["Clients"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
@attrs.frozen(kw_only=True)
class Clients(Generic[In, Out]):
    """Serves the clients of one server, each in a task of its own.

    Attributes:
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

    handler: Handler[In, Out]
    codec: Codec[In, Out]
    timeouts: Timeouts
    admission: Admission
    arrivals: Arrivals
    group: Group
    nursery: trio.Nursery
    enlist: Callable[[Connection[Any, Any]], None]
    note_served: Callable[[Connection[Any, Any]], None]

    def start(self, transport: Transport) -> None:
        """Start to serve a client, or to refuse it."""
        if limit := self.admission.take():
            self.nursery.start_soon(self.arrivals.refuse, transport, limit)
        else:
            self.nursery.start_soon(self._serve, transport, name=self.handler)

    async def _serve(self, transport: Transport) -> None:
        try:
            if arrival := await self.arrivals.see_in(transport):
                try:
                    connection = Connection(
                        arrival.transport,
                        codec=self.codec,
                        timeouts=self.timeouts,
                        group=self.group,
                        # As it was: one that is gone has no address any more.
                        peer=arrival.peer,
                        proxy_header=arrival.header,
                        received=arrival.received,
                        awaits_first=True,
                    )
                    self.enlist(connection)
                    try:
                        await serve_connection(self.handler, connection)
                    finally:
                        self.note_served(connection)
                finally:
                    self.admission.leave(arrival.peer)
        finally:
            self.admission.give_back()
