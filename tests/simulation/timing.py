"""When a server gives up on a client: the moment, and what it says of it."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

import trio_tcp
from tests.simulation.numbered import Bytes
from tests.simulation.service import PORT, Service
from trio_tcp import CloseReason
from trio_tcp.testing.network import VirtualNetwork

NEVER = trio_tcp.Timeouts(
    first_message=math.inf, idle=math.inf, message=math.inf, write=math.inf, linger=1
)
SLOWEST = 0.1
"""Seconds that a segment travels at most."""


@asynccontextmanager
async def stream_to_server(
    net: VirtualNetwork,
) -> AsyncGenerator[trio.SocketStream, None]:
    """Connect, and be told nothing of what the server thinks of it."""
    net.set_links(latency=0.01, jitter=SLOWEST - 0.01)
    async with await trio.open_tcp_stream("server", PORT) as stream:
        with suppress(trio.BrokenResourceError):
            yield stream


async def read(connection: Bytes) -> None:
    """Receive everything, and look up now and then: that restarts no clock."""
    while True:
        with trio.move_on_after(random.random()):
            try:
                await connection.receive()
            except trio.EndOfChannel:
                return


async def timed_out(service: Service) -> tuple[str, float, float]:
    """Return what the only connection was too slow in, and when it began and ended."""
    await service.wait_for_end()
    ((number, (event, at)),) = service.ended.items()
    assert event.reason is CloseReason.TIMED_OUT
    assert isinstance(event.error, trio_tcp.PeerTooSlowError)
    return event.error.timeout, service.opened[number], at


def arrivals(net: VirtualNetwork) -> list[tuple[float, int]]:
    """List when how many bytes arrived at the server."""
    return [
        (segment.arrived, len(segment.payload))
        for segment in net.trace.select(receiver="server")
        if segment.payload and segment.arrived is not None
    ]


def exactly(seconds: float) -> object:
    """Allow for what floating point rounds."""
    return pytest.approx(seconds, abs=1e-6)
