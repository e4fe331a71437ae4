"""What comes before a client's connection: its PROXY header, its address, its TLS.

All of it runs in a task of the client's own, and each step has its own timeout: nobody
else waits for a client that says nothing, or nonsense. The order is that of the bytes:
a proxy's header comes before TLS. The address in it is the client's, and the one that
limits per address are about.
"""

from __future__ import annotations

import math
import ssl
from typing import Final, final

import trio

from trio_tcp._address import Address
from trio_tcp._admission import UNTRUSTED, Admission
from trio_tcp._errors import PeerTooSlowError
from trio_tcp._events import (
    ConnectionAccepted,
    ConnectionDrained,
    ConnectionRejected,
    HandshakeFailed,
    Observer,
    ProxyHeaderReceived,
    TimedOut,
    notify,
)
from trio_tcp._handshake import shake_hands, tls_established, tls_over
from trio_tcp._journal import next_id
from trio_tcp._options import Timeouts, Tls
from trio_tcp._proxy_header import ProxyHeader
from trio_tcp._proxy_protocol import ProxyProtocol, read_proxy_header
from trio_tcp._transport import Transport

__all__ = ["Arrival", "Arrivals"]

MAX_FAREWELLS: Final = 100
"""How many refused clients are told so at a time. More are refused without a word: a
farewell needs a task and a descriptor for as long as its client takes to read it."""

FAREWELL_SECONDS: Final = 2.0
"""How long a refused client may take to read its farewell. (Apache: 2, for what it
calls a lingering close.)"""


@final
class Arrival:
    """A client on its way to its connection.

    Attributes:
        id: that its connection will have.
        transport: to it; at the end, with TLS if there is any.
        peer: its address, as far as it is known.
        received: bytes that have been read already, and belong to what follows.
        header: of the proxy through which it comes.
        stage: what it is at, for reports.
        since: when that began, on Trio's clock.
    """

    __slots__ = ("header", "id", "peer", "received", "since", "stage", "transport")

    def __init__(self, transport: Transport) -> None:
        self.id: int = next_id()
        self.transport: Transport = transport
        self.peer: Address | None = self.transport.peer
        self.received = b""
        self.header: ProxyHeader | None = None
        self.stage = ""
        self.since = math.inf

    def begin(self, stage: str) -> None:
        """Begin with a stage."""
        self.stage = stage
        self.since = trio.current_time()

    @property
    def seconds(self) -> float:
        """How long it is at this stage."""
        return trio.current_time() - self.since


class _RefusedError(Exception):
    """A client is refused; the argument says because of which limit."""


@final
class Arrivals:
    """Sees the clients of one server in, or off.

    Attributes:
        tls: for those who come from now on.
        pending: the scopes of those who are not through yet.
        broken_off: how many have been closed by `close`.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        proxy_protocol: ProxyProtocol | None,
        tls: ssl.SSLContext | Tls | None,
        timeouts: Timeouts,
        observer: Observer,
    ) -> None:
        self.tls = tls
        self.pending: set[trio.CancelScope] = set()
        self.broken_off: int = 0
        self._is_closed = False
        self._admission = admission
        self._proxy_protocol = proxy_protocol
        self._timeouts = timeouts
        self._observer = observer
        self._farewells = 0

    def close(self) -> None:
        """Close those who are not through yet, and who come from now on."""
        self._is_closed = True
        for scope in self.pending:
            scope.cancel()

    @property
    def take_time(self) -> bool:
        """Whether something comes before a client's connection."""
        return self._proxy_protocol is not None or self.tls is not None

    async def see_in(self, transport: Transport) -> Arrival | None:
        """See a client in, who has a slot.

        Returns:
            The client, whose address is counted; or None if it did not make it: its
            stream is closed, and the observer has been told.
        """
        arrival = Arrival(transport)
        if not self.take_time:
            # There is nothing to wait for, and so nothing to be cancelled.
            if self._admission.enter(arrival.peer):
                return arrival
            await self._reject(arrival, "max_per_address")
            return None
        accepted = ConnectionAccepted(id=arrival.id, label="", peer=arrival.peer)
        notify(self._observer, accepted)
        with trio.CancelScope() as scope:
            self.pending.add(scope)
            if self._is_closed:
                scope.cancel()
            try:
                return await self._see_in(arrival)
            finally:
                self.pending.remove(scope)
        self.broken_off += 1
        drained = ConnectionDrained(
            id=arrival.id, label="", peer=arrival.peer, stage="handshake"
        )
        notify(self._observer, drained)
        return None

    async def _see_in(self, arrival: Arrival) -> Arrival | None:
        counted = through = False
        try:
            await self._read_header(arrival)
            counted = self._admission.enter(arrival.peer)
            if counted:
                await self._secure(arrival)
                through = True
            else:
                await self._reject(arrival, "max_per_address")
        except _RefusedError as error:
            await self._reject(arrival, str(error))
        except trio.TrioInternalError:
            raise
        except Exception as error:  # noqa: BLE001 - a user's stream may raise any
            # Not aborted: a reset could overtake TLS's alert, which says what is wrong.
            await arrival.transport.aclose()
            self._report_failed(arrival, error)
            error.__traceback__ = None  # it has this frame: a cycle, with TLS in it
        except BaseException:
            await arrival.transport.aclose()  # noqa: ASYNC102 - does not wait
            raise
        finally:
            if counted and not through:
                self._admission.leave(arrival.peer)
        return arrival if through else None

    async def _read_header(self, arrival: Arrival) -> None:
        """Read the header of the PROXY protocol, where there must be one."""
        if self._proxy_protocol is None:
            return
        arrival.begin("PROXY header")
        if not self._proxy_protocol.trusts(arrival.peer):
            raise _RefusedError(UNTRUSTED)
        limit, proxy = self._proxy_protocol.timeout, arrival.peer
        with trio.move_on_after(limit) as scope:
            header, arrival.received = await read_proxy_header(arrival.transport)
            arrival.header = header
            arrival.peer = header.source or arrival.peer
        if scope.cancelled_caught:
            raise PeerTooSlowError("proxy_protocol", limit)
        received = ProxyHeaderReceived(
            id=arrival.id,
            label="",
            peer=arrival.peer,
            proxy=proxy,
            seconds=arrival.seconds,
        )
        notify(self._observer, received)

    async def _secure(self, arrival: Arrival) -> None:
        """Put TLS over it, where there must be TLS."""
        if self.tls is None:
            return
        arrival.begin("TLS")
        transport = tls_over(arrival.transport, self.tls, received=arrival.received)
        arrival.transport, arrival.received = transport, b""
        seconds = await shake_hands(transport, self._timeouts.handshake)
        assert transport.tls is not None
        event = tls_established(arrival.id, "", arrival.peer, transport.tls, seconds)
        notify(self._observer, event)

    def _report_failed(self, arrival: Arrival, error: Exception) -> None:
        if isinstance(error, PeerTooSlowError):
            late = TimedOut(
                id=arrival.id,
                label="",
                peer=arrival.peer,
                timeout=error.timeout,
                seconds=error.seconds,
            )
            notify(self._observer, late)
        failed = HandshakeFailed(
            id=arrival.id,
            label="",
            peer=arrival.peer,
            stage=arrival.stage,
            error=error,
            seconds=arrival.seconds,
        )
        notify(self._observer, failed)

    async def _reject(self, arrival: Arrival, limit: str) -> None:
        self._admission.count_rejected(limit)
        await arrival.transport.abort()
        rejected = ConnectionRejected(
            id=arrival.id, label="", peer=arrival.peer, limit=limit
        )
        notify(self._observer, rejected)

    # Without a slot

    async def refuse(self, transport: Transport, limit: str) -> None:
        """Refuse a client; with the farewell, if the server is full."""
        arrival = Arrival(transport)
        farewell = self._admission.limits.farewell
        try:
            if limit == "max_connections" and farewell:
                await self._say(farewell, arrival)
        finally:
            await self._reject(arrival, limit)  # noqa: ASYNC102 - does not wait

    async def _say(self, farewell: bytes, arrival: Arrival) -> None:
        if self._farewells >= MAX_FAREWELLS:
            return
        self._farewells += 1
        try:
            with trio.move_on_after(FAREWELL_SECONDS):
                await self._read_header(arrival)
                await self._secure(arrival)
                rest = memoryview(farewell)
                while rest:
                    rest = rest[await arrival.transport.send_some(rest) :]
                if arrival.transport.can_half_close:
                    await arrival.transport.send_eof()
                # Until it has gone: unread bytes of it would make a reset of the end.
                while await arrival.transport.receive_some():
                    pass
        except trio.TrioInternalError:
            raise
        except Exception:  # noqa: BLE001 - it does not want to hear it
            pass
        finally:
            self._farewells -= 1
