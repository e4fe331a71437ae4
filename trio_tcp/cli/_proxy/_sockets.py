"""The two sides of a proxy: where it listens, and how it reaches the target."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import trio

from trio_tcp.cli._listening import open_listeners
from trio_tcp.cli._parameters import ConnectAddress, ListenAddress, PathAddress
from trio_tcp.testing import FaultProxy
from trio_tcp.testing.proxy import relaying

__all__ = ["open_proxy"]


@asynccontextmanager
async def open_proxy(
    listen: ListenAddress, target: ConnectAddress, *, seed: str, trace_bytes: int
) -> AsyncGenerator[FaultProxy, None]:
    """Open a proxy between any two kinds of address, for the time of a block.

    Raises:
        click.ClickException: it cannot listen there.
    """
    if isinstance(target, PathAddress):
        connect = partial(trio.open_unix_socket, target.path)
    else:
        connect = partial(trio.open_tcp_stream, target.host or "localhost", target.port)
    async with (
        open_listeners([listen], None) as listeners,
        relaying(listeners, connect, seed=seed, trace_bytes=trace_bytes) as proxy,
    ):
        yield proxy
