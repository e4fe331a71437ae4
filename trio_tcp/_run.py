"""A server as a whole program: `trio.run`, with signals."""

from __future__ import annotations

import signal
from typing import TypeVar

import trio

from trio_tcp._events import Observer, log_events
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._options import Timeouts
from trio_tcp._serve_connection import Handler
from trio_tcp._server import serve_tcp
from trio_tcp.codecs import Codec

__all__ = ["run_server"]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_TIMEOUTS = Timeouts()


def run_server(
    handler: Handler[In, Out],
    port: int,
    *,
    codec: Codec[In, Out],
    host: str | bytes | None = None,
    backlog: int | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    observer: Observer = log_events,
) -> None:
    """Serve clients over TCP until SIGINT (Ctrl-C) or SIGTERM; the one-line server.

    The first signal ends the server in order: it stops listening, handlers are
    cancelled and run their ``finally`` blocks, and this function returns. A second one
    does not wait for them: it ends the process. Only for the main thread.

    Args:
        handler: ``async def handler(connection)``, called for each client.
        port: to listen on.
        codec: turns messages into bytes and back, for all connections.
        host: as `serve_tcp`.
        backlog: as `serve_tcp`.
        timeouts: as `serve_tcp`.
        observer: as `serve_tcp`.

    Raises:
        OSError: it cannot listen there.

    Example::

        trio_tcp.run_server(echo, 8888, codec=codecs.Lines())
    """

    async def main() -> None:
        async with open_quiet_nursery() as nursery:
            # Before anybody is told that the server listens, and may send a signal.
            await nursery.start(_cancel_on_signal, nursery.cancel_scope)
            await serve_tcp(
                handler,
                port,
                codec=codec,
                host=host,
                backlog=backlog,
                timeouts=timeouts,
                observer=observer,
            )

    before = signal.getsignal(signal.SIGINT)
    try:
        trio.run(main)
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


async def _cancel_on_signal(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            break
    # From here on a signal means what it means to any process. KeyboardInterrupt would
    # wait for the handlers, as every exception in Trio does.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    scope.cancel()
