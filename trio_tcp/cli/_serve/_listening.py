"""Sockets for workers: on each address one for each of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from trio_tcp import KeepAlive
from trio_tcp._workers import open_own_listeners
from trio_tcp.cli._listening import cannot_listen
from trio_tcp.cli._parameters import HostAddress

__all__ = ["open_own"]


@asynccontextmanager
async def open_own(
    addresses: Sequence[HostAddress], workers: int, keepalive: KeepAlive | None
) -> AsyncGenerator[list[list[trio.SocketListener]], None]:
    """Listen on all addresses within a block, once for each worker.

    Raises:
        click.ClickException: as `open_listeners`.
    """
    own: list[list[trio.SocketListener]] = []
    if addresses:
        own = [[] for _ in range(workers)]
    async with AsyncExitStack() as stack:
        for address in addresses:
            try:
                opened = await open_own_listeners(
                    address.port, workers, host=address.host, keepalive=keepalive
                )
            except (OSError, ValueError) as error:
                raise cannot_listen(address, error) from error
            for listeners, more in zip(own, opened, strict=True):
                listeners.extend(more)
                for listener in more:
                    await stack.enter_async_context(listener)
        yield own
