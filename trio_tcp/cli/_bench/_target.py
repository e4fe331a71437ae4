"""The server to put under load, and how to connect to it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, final

import click

import trio_tcp
from trio_tcp import codecs
from trio_tcp.cli._bench._asker import Connection
from trio_tcp.cli._bench._prepared import Prepared
from trio_tcp.cli._parameters import ClientTls, ConnectAddress, PathAddress

__all__ = ["Target"]

LINGER_SECONDS: Final = 1.0
"""How long a connection that is closed waits for the server's own end."""


def _ignore(_event: trio_tcp.Event, /) -> None:
    """Observe nothing: what becomes of connections is counted."""


@final
class Target:
    """Opens connections: ``async with target() as connection: ...``.

    A name is looked up until one of its addresses has answered. That one is taken from
    then on: a run is to measure the server, and not the look-up.

    Args:
        address: of the server.
        codec: of the server.
        tls: how to speak TLS, if at all.
        timeout: seconds for connecting, the TLS handshake, and for a server that takes
            nothing of what is sent.

    Raises:
        click.UsageError: TLS over a Unix socket.
    """

    def __init__(
        self,
        address: ConnectAddress,
        codec: codecs.Codec[Any, Any],
        tls: ClientTls,
        timeout: float,
    ) -> None:
        if tls.context is not None and isinstance(address, PathAddress):
            raise click.UsageError("TLS is for HOST:PORT, not for a Unix socket.")
        self._address = address
        self._codec = Prepared(codec)
        self._tls = tls
        self._timeouts = trio_tcp.Timeouts(
            connect=timeout,
            handshake=timeout,
            write=timeout,
            idle=math.inf,
            message=math.inf,
            linger=min(timeout, LINGER_SECONDS),
        )
        self._host: str | None = None  # that has answered

    def __call__(self) -> AbstractAsyncContextManager[Connection]:
        """Open a connection."""
        if isinstance(self._address, PathAddress):
            return trio_tcp.connect_unix(
                self._address.path,
                codec=self._codec,
                timeouts=self._timeouts,
                observer=_ignore,
            )
        host = self._address.host or "localhost"
        return self._connect(host, self._address.port)

    @asynccontextmanager
    async def _connect(self, host: str, port: int) -> AsyncGenerator[Connection, None]:
        context = self._tls.context
        name = self._tls.server_hostname or host
        async with trio_tcp.connect_tcp(
            self._host or host,
            port,
            codec=self._codec,
            tls=context,
            server_hostname=None if context is None else name,
            timeouts=self._timeouts,
            observer=_ignore,
        ) as connection:
            if isinstance(connection.peer, trio_tcp.TcpAddress):
                self._host = connection.peer.host
            yield connection
