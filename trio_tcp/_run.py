"""A server as a whole program: `trio.run`, with signals."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TypeVar

import trio

from trio_tcp._events import Observer
from trio_tcp._log_events import log_events
from trio_tcp._options import (
    DEFAULT_LIMITS,
    DEFAULT_TIMEOUTS,
    KeepAlive,
    Limits,
    Timeouts,
    Tls,
)
from trio_tcp._proxy_protocol import ProxyProtocol
from trio_tcp._serve import serve_tcp
from trio_tcp._serve_connection import Handler
from trio_tcp._until_signalled import serve_until_signalled
from trio_tcp.codecs import Codec

__all__ = ["run_server"]

In = TypeVar("In")
Out = TypeVar("Out")


def run_server(
    handler: Handler[In, Out],
    port: int,
    *,
    codec: Codec[In, Out],
    host: str | bytes | None = None,
    backlog: int | None = None,
    reuse_port: bool = False,
    keepalive: KeepAlive | None = None,
    grace: float = 30.0,
    tls: ssl.SSLContext | Tls | None = None,
    proxy_protocol: ProxyProtocol | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> None:
    """Serve clients over TCP until SIGINT (Ctrl-C) or SIGTERM; the one-line server.

    The first signal drains the server (`Server.drain`): it stops listening, connections
    that are idle end, those at work may finish within ``grace``, and this function
    returns. A second signal does not wait for them: it ends the process. Only for the
    main thread.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        port: to listen on.
        codec: turns messages into bytes and back, for all connections.
        host: as `serve_tcp`.
        backlog: as `serve_tcp`.
        reuse_port: as `serve_tcp`.
        keepalive: as `serve_tcp`.
        grace: how long in seconds the drain lets connections finish.
        tls: as `serve_tcp`.
        proxy_protocol: as `serve_tcp`.
        limits: as `serve_tcp`.
        timeouts: as `serve_tcp`.
        observer: as `serve_tcp`.

    Raises:
        OSError: it cannot listen there.
        ValueError: as `serve_tcp`, or ``grace`` is no number of zero or more.
        RuntimeError: this is not the main thread.

    Example::

        trio_tcp.run_server(echo, 8888, codec=codecs.Lines())
    """
    serve = partial(
        serve_tcp,
        handler,
        port,
        codec=codec,
        host=host,
        backlog=backlog,
        reuse_port=reuse_port,
        keepalive=keepalive,
        tls=tls,
        proxy_protocol=proxy_protocol,
        limits=limits,
        timeouts=timeouts,
        observer=observer,
    )
    trio.run(partial(serve_until_signalled, serve, grace=grace))
