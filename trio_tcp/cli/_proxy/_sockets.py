"""The two sides of a proxy: where it listens, and how it reaches the target."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import click
import trio

import trio_tcp
from trio_tcp.cli._parameters import (
    ConnectAddress,
    DescriptorAddress,
    HostAddress,
    ListenAddress,
    PathAddress,
    SystemdAddress,
)
from trio_tcp.testing import FaultProxy
from trio_tcp.testing.proxy import relaying

__all__ = ["open_proxy"]


@asynccontextmanager
async def open_proxy(
    listen: ListenAddress, target: ConnectAddress, *, seed: str, trace_bytes: int
) -> AsyncGenerator[FaultProxy, None]:
    """Open a proxy between any two kinds of address, for the time of a block.

    Raises:
        OSError: it cannot listen there.
    """
    if isinstance(target, PathAddress):
        connect = partial(trio.open_unix_socket, target.path)
    else:
        connect = partial(trio.open_tcp_stream, target.host or "localhost", target.port)
    async with (
        _open_listeners(listen) as listeners,
        relaying(listeners, connect, seed=seed, trace_bytes=trace_bytes) as proxy,
    ):
        yield proxy


@asynccontextmanager
async def _open_listeners(
    address: ListenAddress,
) -> AsyncGenerator[list[trio.SocketListener], None]:
    if isinstance(address, PathAddress):
        async with trio_tcp.open_unix_listener(address.path) as listener:
            yield [listener]
    elif isinstance(address, HostAddress):
        yield await trio.open_tcp_listeners(address.port, host=address.host)
    else:
        yield _inherited(address)


def _inherited(
    address: DescriptorAddress | SystemdAddress,
) -> list[trio.SocketListener]:
    try:
        if isinstance(address, DescriptorAddress):
            return [trio_tcp.listener_from_fd(address.fd)]
        listeners = trio_tcp.inherited_listeners()
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if not listeners:
        raise click.UsageError("systemd has handed down no socket.")
    return listeners
