"""A proxy for the time of a block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.testing.proxy._fault_proxy import Connect, FaultProxy

__all__ = ["open_fault_proxy", "relaying"]


@asynccontextmanager
async def open_fault_proxy(
    target_host: str,
    target_port: int,
    *,
    listen_host: str = "127.0.0.1",
    listen_port: int = 0,
    seed: object = 0,
    trace_bytes: int = 0,
) -> AsyncGenerator[FaultProxy, None]:
    """Put a proxy before a real server, for the time of a block.

    Programs that connect to it reach the server through a network on which anything
    can go wrong, with the faults of the virtual network, on real sockets and by the
    real clock::

        async with testing.open_fault_proxy("localhost", 6379) as proxy:
            with proxy.inject(faults.Latency(0.2), on=proxy.to_client):
                ...  # connect to 127.0.0.1, proxy.port

    At the end of the block it stops listening, and connections are reset.

    Args:
        target_host: the host to connect to, anew for each client.
        target_port: its port.
        listen_host: the address of this machine to listen on.
        listen_port: the port; 0 takes a free one, see `FaultProxy.port`.
        seed: from which everything is drawn that faults draw. Times are real, so that
            no run is exactly as another.
        trace_bytes: how much memory the trace may take; then the oldest segments are
            dropped. By default nothing is recorded.

    Raises:
        OSError: it cannot listen there.

    Cancellation:
        Ends it, as the end of the block does.
    """
    listeners = await trio.open_tcp_listeners(listen_port, host=listen_host)
    connect = partial(trio.open_tcp_stream, target_host, target_port)
    async with relaying(listeners, connect, seed=seed, trace_bytes=trace_bytes) as it:
        yield it


@asynccontextmanager
async def relaying(
    listeners: Sequence[trio.SocketListener],
    connect: Connect,
    *,
    seed: object,
    trace_bytes: int,
) -> AsyncGenerator[FaultProxy, None]:
    """Open a proxy with any listeners, which are closed at the end of the block."""
    proxy = FaultProxy(listeners, connect, seed=seed, trace_bytes=trace_bytes)
    async with open_quiet_nursery() as nursery:
        await nursery.start(proxy.run)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
