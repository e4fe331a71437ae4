"""The servers that are watched: their figures, read when they are asked for.

A server counts for itself anyway, so that nothing here costs anything for a message.
What several servers count is added up; one that has ended leaves its sums behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from prometheus_client.metrics_core import Metric

from trio_tcp._admission import UNTRUSTED
from trio_tcp._events import CloseReason
from trio_tcp._server import Server, ServerState
from trio_tcp.monitoring._figure import Figure, Sheet
from trio_tcp.monitoring._source import Readiness

__all__ = ["SERVER_FIGURES", "Servers"]

LIMITS: Final = ("max_connections", "max_per_address", "max_accept_rate", UNTRUSTED)
"""For which clients are refused."""

SERVERS: Final = Figure(
    "servers",
    "gauge",
    "Servers in each state.",
    labels=("state",),
    known=tuple((state.value,) for state in ServerState),
)
CONNECTIONS: Final = Figure(
    "connections",
    "gauge",
    "Clients now: in a handshake; waiting, with no request in hand; busy; "
    "left while the server drains.",
    labels=("state",),
    known=(("handshaking",), ("waiting",), ("busy",), ("draining",)),
)
ACCEPTED: Final = Figure(
    "connections_accepted", "counter", "Clients that became a connection."
)
REJECTED: Final = Figure(
    "connections_rejected",
    "counter",
    "Clients refused, by the limit that they would have exceeded.",
    labels=("limit",),
    known=tuple((limit,) for limit in LIMITS),
)
ENDED: Final = Figure(
    "connections_ended",
    "counter",
    "Connections that have ended, by why.",
    labels=("reason",),
    known=tuple((reason.name.lower(),) for reason in CloseReason),
)
MESSAGES_RECEIVED: Final = Figure(
    "received_messages", "counter", "Messages from clients."
)
MESSAGES_SENT: Final = Figure("sent_messages", "counter", "Messages to clients.")
BYTES_RECEIVED: Final = Figure("received_bytes", "counter", "Bytes from clients.")
BYTES_SENT: Final = Figure("sent_bytes", "counter", "Bytes to clients.")
BYTES_BUFFERED: Final = Figure(
    "buffered_bytes",
    "gauge",
    "Held now for all connections; Limits.max_buffered_bytes bounds it.",
)

SERVER_FIGURES: Final = (
    SERVERS,
    CONNECTIONS,
    ACCEPTED,
    REJECTED,
    ENDED,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    BYTES_RECEIVED,
    BYTES_SENT,
    BYTES_BUFFERED,
)


@final
class Servers:
    """Servers, and the sums of those that were."""

    def __init__(self) -> None:
        self._watched: list[Server] = []
        self._ended = Sheet(SERVER_FIGURES)

    def watch(self, server: Server) -> None:
        """Add a server, and let go of those that have ended."""
        for old in tuple(self._watched):
            # Handlers in a nursery that is not the server's may outlive it.
            if old.state is ServerState.STOPPED and not old.connections:
                _read(old, self._ended)
                self._watched.remove(old)
        if server not in self._watched:
            self._watched.append(server)

    def readiness(self) -> Readiness:
        """Say whether there are servers, and all of them accept."""
        if not self._watched:
            return Readiness(is_ready=False, reason="no server has started")
        return Readiness(
            is_ready=all(s.state is ServerState.ACCEPTING for s in self._watched),
            reason="; ".join(f"{_name(s)}: {s.state.value}" for s in self._watched),
        )

    def collect(self) -> Iterator[Metric]:
        """Ask them all."""
        sheet = Sheet(SERVER_FIGURES)
        sheet.add_all(self._ended)
        for server in self._watched:
            sheet.add(SERVERS, 1, server.state.value)
            _read(server, sheet)
        return sheet.collect()


def _name(server: Server) -> str:
    return ", ".join(map(str, server.addresses)) or "a server with no address"


def _read(server: Server, sheet: Sheet) -> None:
    """Add what a server has counted."""
    now = server.statistics()
    sheet.add(CONNECTIONS, now.handshaking, "handshaking")
    if server.state in (ServerState.DRAINING, ServerState.STOPPED):
        sheet.add(CONNECTIONS, now.open, "draining")
    else:
        sheet.add(CONNECTIONS, now.waiting, "waiting")
        sheet.add(CONNECTIONS, now.open - now.waiting, "busy")
    sheet.add(ACCEPTED, now.accepted)
    for limit, count in now.rejected.items():
        sheet.add(REJECTED, count, limit)
    for reason, count in now.ended.items():
        sheet.add(ENDED, count, reason.name.lower())
    sheet.add(MESSAGES_RECEIVED, now.messages_received)
    sheet.add(MESSAGES_SENT, now.messages_sent)
    sheet.add(BYTES_RECEIVED, now.bytes_received)
    sheet.add(BYTES_SENT, now.bytes_sent)
    sheet.add(BYTES_BUFFERED, now.bytes_buffered)
