"""A listening socket for each worker, on one port: the kernel spreads clients.

They are the supervisor's, so that the queue of each outlives its worker.
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import Final

import trio

from trio_tcp._listen import open_tcp_listeners
from trio_tcp._options import KeepAlive

__all__ = ["SPREADS", "open_own_listeners"]

SPREADS: Final = sys.platform == "linux"
"""Whether the kernel spreads clients over such sockets (socket(7)). Elsewhere they can
be made, too, but on macOS the last one that was opened gets them all."""


async def open_own_listeners(
    port: int,
    workers: int,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
    keepalive: KeepAlive | None = None,
) -> list[list[trio.SocketListener]]:
    """Listen once for each worker, on the same port (``SO_REUSEPORT``).

    Raises:
        OSError: it cannot listen there; also where another service already does so in
            this way, with which clients would be shared.
        ValueError: as `open_tcp_listeners`.
    """
    for listener in await open_tcp_listeners(port, host=host):
        port = listener.socket.getsockname()[1]
        await listener.aclose()
    async with AsyncExitStack() as on_failure:
        own: list[list[trio.SocketListener]] = []
        for _ in range(workers):
            listeners = await open_tcp_listeners(
                port, host=host, backlog=backlog, reuse_port=True, keepalive=keepalive
            )
            for listener in listeners:
                on_failure.push_async_callback(listener.aclose)
            own.append(listeners)
        on_failure.pop_all()
    return own
