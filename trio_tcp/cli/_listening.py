"""Opening the sockets: of TCP, of Unix, or those that somebody has handed down."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import click
import trio

from trio_tcp import (
    KeepAlive,
    inherited_listeners,
    listener_from_fd,
    open_tcp_listeners,
    open_unix_listener,
)
from trio_tcp._keepalive import keepalive_options
from trio_tcp.cli._parameters import (
    DescriptorAddress,
    HostAddress,
    ListenAddress,
    PathAddress,
    SystemdAddress,
)

__all__ = ["cannot_listen", "open_listeners"]

INTERNET = (trio.socket.AF_INET, trio.socket.AF_INET6)


@asynccontextmanager
async def open_listeners(
    addresses: Sequence[ListenAddress], keepalive: KeepAlive | None
) -> AsyncGenerator[list[trio.SocketListener], None]:
    """Listen on all addresses within a block.

    Raises:
        click.ClickException: it cannot listen on one of them; none is left open.
    """
    listeners: list[trio.SocketListener] = []
    async with AsyncExitStack() as stack:
        for address in addresses:
            try:
                opened = await _open(address, keepalive, stack)
            except (OSError, ValueError) as error:
                raise cannot_listen(address, error) from error
            for listener in opened:
                await stack.enter_async_context(listener)
            listeners += opened
        yield listeners


def cannot_listen(
    address: ListenAddress, error: OSError | ValueError
) -> click.ClickException:
    """Say where, and why."""
    why = str(error)
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror):
        # What Trio and asyncio say here names the address, too.
        why = os.strerror(error.errno) if error.errno else why
    return click.ClickException(f"cannot listen on {address}: {why}.")


async def _open(
    address: ListenAddress, keepalive: KeepAlive | None, stack: AsyncExitStack
) -> list[trio.SocketListener]:
    match address:
        case HostAddress(host=host, port=port):
            return await open_tcp_listeners(port, host=host, keepalive=keepalive)
        case PathAddress(path=path, mode=mode):
            unix = open_unix_listener(path, mode=mode)
            return [await stack.enter_async_context(unix)]
        case DescriptorAddress(fd=fd):
            return _inherited([listener_from_fd(fd)], keepalive)
        case SystemdAddress():
            found = inherited_listeners()
            if not found:
                raise ValueError("systemd has handed down no sockets (LISTEN_FDS)")
            return _inherited(found, keepalive)


def _inherited(
    listeners: list[trio.SocketListener], keepalive: KeepAlive | None
) -> list[trio.SocketListener]:
    """Set on sockets that others have opened what ours have from the beginning."""
    for listener in listeners:
        if listener.socket.family in INTERNET:
            for option in keepalive_options(keepalive):
                listener.socket.setsockopt(*option)
    return listeners
