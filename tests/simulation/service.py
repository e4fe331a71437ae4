"""A server on a virtual network, and books about it that others than it have kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, final

import trio

import trio_tcp
from tests.simulation.numbered import CODEC, Bytes
from trio_tcp import CloseReason
from trio_tcp._serve_connection import Handler
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.traces import Flag, Segment

PORT = 80


def ignore(_event: trio_tcp.Event) -> None:
    """Observe nothing: what becomes of clients, the tests see themselves."""


@final
class Service:
    """A server and what was observed of it.

    Attributes:
        server: The server.
        connections: All that it has had, by their numbers.
        opened: When each was opened.
        ended: The last word about each, and when it was spoken.
        failures: What handlers have raised.
        rejected: How many clients were refused.
        handlers: How many run now.
        over_tls: Whether clients speak TLS.
    """

    server: trio_tcp.Server

    def __init__(self, net: VirtualNetwork, handler: Handler[bytes, bytes]) -> None:
        self.connections: dict[int, Bytes] = {}
        self.opened: dict[int, float] = {}
        self.ended: dict[int, tuple[trio_tcp.ConnectionEnded, float]] = {}
        self.ended_twice: list[trio_tcp.ConnectionEnded] = []
        self.failures: list[BaseException] = []
        self.rejected = 0
        self.handlers = 0
        self.over_tls = False
        self._moved = trio.Event()
        self._net = net
        self._handler = handler

    def observe(self, event: trio_tcp.Event) -> None:
        """Keep the books. Only keep: what an observer raises is not heard."""
        match event:
            case trio_tcp.ConnectionOpened():
                self.opened[event.id] = trio.current_time()
            case trio_tcp.ConnectionEnded() if event.id in self.ended:
                self.ended_twice.append(event)
            case trio_tcp.ConnectionEnded():
                self.ended[event.id] = (event, trio.current_time())
                self._moved.set()
                self._moved = trio.Event()
            case trio_tcp.HandlerFailed():
                self.failures.append(event.error)
            case trio_tcp.ConnectionRejected():
                self.rejected += 1
            case _:
                pass

    async def handle(self, connection: Bytes) -> None:
        """Run the handler."""
        self.connections[connection.id] = connection
        self.handlers += 1
        try:
            await self._handler(connection)
        finally:
            self.handlers -= 1

    def reason(self, connection: Bytes) -> CloseReason:
        """Say why a connection has ended."""
        return self.ended[connection.id][0].reason

    async def wait_for_end(self) -> None:
        """Wait until there was a connection, and none is open."""
        while not self.ended or len(self.ended) < len(self.opened):
            await self._moved.wait()

    # What is true at any moment, and what is true at the end

    def check(self) -> None:
        """Check that the server's numbers are those of the books, and add up."""
        statistics = self.server.statistics()
        assert not self.failures
        assert not self.ended_twice
        assert statistics.accepted == len(self.opened) == len(self.connections)
        assert statistics.open == len(self.opened) - len(self.ended)
        assert statistics.open == len(self.server.connections)
        assert sum(statistics.rejected.values()) == self.rejected
        reasons = Counter(event.reason for event, _ in self.ended.values())
        assert statistics.ended == reasons
        counters = [c.statistics() for c in self.connections.values()]
        assert statistics.messages_received == sum(
            c.messages_received for c in counters
        )
        assert statistics.messages_sent == sum(c.messages_sent for c in counters)
        assert statistics.bytes_received == sum(c.bytes_received for c in counters)
        assert statistics.bytes_sent == sum(c.bytes_sent for c in counters)
        for number, (event, _) in self.ended.items():
            assert self.connections[number].close_reason is event.reason

    def check_over(self) -> None:
        """Check that nothing is left, and that each end fits what was sent."""
        self.check()
        assert self.server.statistics().open == 0
        assert self.server.statistics().bytes_buffered == 0
        assert self.handlers == 0
        by_source: dict[tuple[str, int], list[Segment]] = {}
        for segment in self._net.trace:
            by_source.setdefault(segment.source, []).append(segment)
        for number, (event, at) in self.ended.items():
            if isinstance(event.peer, trio_tcp.TcpAddress):
                segments = by_source[event.peer]
                flags = _arrived(segments, self.opened[number], at)
            else:  # it was reset before it was accepted
                flags = Flag.RST
                assert event.reason is CloseReason.BROKEN
            _check_reason(event, flags)
            if event.reason is CloseReason.PEER_CLOSED and not self.over_tls:
                assert flags & Flag.FIN  # TLS has an end of its own


def _arrived(segments: list[Segment], opened: float, ended: float) -> int:
    """Put together the flags of what a client's end has sent to its connection."""
    # A client that was restarted may use an old port again.
    syns = [s.time for s in segments if s.flags & Flag.SYN and s.time <= opened]
    flags = 0
    for segment in segments:
        arrived = segment.arrived
        if arrived is not None and max(syns) <= segment.time and arrived <= ended:
            flags |= segment.flags
    return flags


def _check_reason(event: trio_tcp.ConnectionEnded, flags: int) -> None:
    match event.reason:
        case CloseReason.TRUNCATED:
            assert flags & Flag.FIN
            assert isinstance(event.error, trio_tcp.TruncatedError)
        case CloseReason.BROKEN:
            assert flags & Flag.RST
            assert isinstance(event.error, trio_tcp.ConnectionBroken)
        case CloseReason.EVICTED:
            assert isinstance(event.error, trio_tcp.EvictedError)
        case CloseReason.TIMED_OUT:
            assert isinstance(event.error, trio_tcp.PeerTooSlowError)
        case reason:
            assert reason in {
                CloseReason.PEER_CLOSED,
                CloseReason.CLOSED,
                CloseReason.DRAINED,
            }
            assert event.error is None


@asynccontextmanager
async def serving(
    net: VirtualNetwork,
    handler: Handler[bytes, bytes],
    **options: Any,  # noqa: ANN401 - as of serve_tcp
) -> AsyncGenerator[Service, None]:
    """Serve on the host ``server``, drain at the end of the block, and look at it all.

    Args:
        net: The network.
        handler: For each connection.
        **options: As of `trio_tcp.serve_tcp`.
    """
    service = Service(net, handler)
    service.over_tls = options.get("tls") is not None
    serve = partial(
        trio_tcp.serve_tcp,
        service.handle,
        PORT,
        **{"codec": CODEC, "observer": service.observe, **options},
    )
    async with trio.open_nursery() as nursery:
        service.server = await nursery.start(net.host("server").run, serve)
        yield service
        service.check()
        await service.server.drain()
    service.check_over()
