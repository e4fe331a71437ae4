"""Serving in one process, until a signal."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from functools import partial
from typing import cast

import trio

import trio_tcp
from trio_tcp import Observer, Server
from trio_tcp._nursery import ungrouped
from trio_tcp._until_signalled import Serve, start_as_last
from trio_tcp._workers import work
from trio_tcp.cli._listening import open_listeners
from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._log import log_without_addresses
from trio_tcp.cli._serve._reloading import Reloading

__all__ = ["be_worker", "serve_here"]


async def serve_here(configuration: Configuration, reloading: Reloading) -> None:
    """Serve in the process that was started.

    Raises:
        click.ClickException: it cannot listen.
    """
    async with open_listeners(
        configuration.listen, configuration.keepalive
    ) as listeners:
        until_signalled = partial(
            trio_tcp.serve_until_signalled,
            grace=configuration.grace,
            drain_delay=configuration.drain_delay,
        )
        if configuration.status is None:
            serve = partial(_serve, configuration, listeners)
            await until_signalled(_with_reload(serve, reloading))
            return
        from trio_tcp.cli._serve._status import open_status  # noqa: PLC0415 - an extra
        from trio_tcp.monitoring import Metrics  # noqa: PLC0415 - likewise

        metrics = Metrics()
        serve = metrics.watched(
            partial(_serve, configuration, listeners, observer=metrics)
        )
        async with open_status(configuration.status, metrics):
            await until_signalled(_with_reload(serve, reloading))


async def be_worker(configuration: Configuration) -> None:
    """Serve in a process that a supervisor has started."""
    serve = partial(_serve, configuration, observer=log_without_addresses)
    if configuration.status is None:
        await work(serve)
        return
    from trio_tcp.cli._serve._status import ANSWERS  # noqa: PLC0415 - an extra
    from trio_tcp.monitoring import Metrics  # noqa: PLC0415 - likewise

    metrics = Metrics(observer=log_without_addresses)
    serve = metrics.watched(partial(_serve, configuration, observer=metrics))
    await work(serve, answers=ANSWERS)


def _with_reload(serve: Serve, reloading: Reloading) -> Serve:
    """Let SIGHUP reach a server, from before the log says that it listens."""

    async def serve_and_reload(*, task_status: trio.TaskStatus[Server]) -> None:
        with trio.open_signal_receiver(signal.SIGHUP) as signals, ungrouped():
            async with trio.open_nursery() as nursery:
                server = await start_as_last(serve, nursery)
                nursery.start_soon(reloading.heed, signals, server)
                task_status.started(server)

    return serve_and_reload


async def _serve(
    configuration: Configuration,
    listeners: Sequence[trio.SocketListener],
    *,
    observer: Observer = trio_tcp.log_events,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    await trio_tcp.serve_listeners(
        configuration.handler,
        # Its elements are listeners of streams, which a list of them is not for mypy.
        cast("Sequence[trio.abc.Listener[trio.abc.Stream]]", listeners),
        codec=configuration.codec,
        tls=None if configuration.tls is None else configuration.tls.context(),
        proxy_protocol=configuration.proxy_protocol,
        limits=configuration.limits,
        timeouts=configuration.timeouts,
        observer=observer,
        task_status=task_status,
    )
