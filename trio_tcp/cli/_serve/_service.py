"""Serving, until a signal: in this process, or in workers under a supervisor."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, cast

import click
import trio

import trio_tcp
from trio_tcp import Event, Observer, Server, ServerStarted, WorkersFailedError
from trio_tcp._nursery import ungrouped
from trio_tcp._until_signalled import start_as_last
from trio_tcp._workers import (
    ReloadStarted,
    Supervisor,
    WorkersEvent,
    is_worker,
    work,
)
from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._listening import open_listeners
from trio_tcp.cli._serve._reloading import (
    changed_keys,
    log_unheeded,
    reload_when_told,
)
from trio_tcp.cli._serve._settings import Settings

__all__ = ["serve"]

LOGGER = logging.getLogger("trio_tcp")

Read: TypeAlias = Callable[[], Settings]

OF_SUPERVISOR = frozenset({"listen", "workers", "grace", "status", "keepalive"})
"""Keys of the file that new workers do not read anew."""


def serve(configuration: Configuration, settings: Settings, read: Read) -> int:
    """Serve until a signal, and drain.

    Args:
        configuration: made of ``settings``.
        settings: to compare with at SIGHUP.
        read: reads them anew.

    Returns:
        The exit code.

    Raises:
        click.ClickException: it cannot listen, or its workers do not live.
    """
    if is_worker():
        run = partial(work, partial(_serve, configuration, observer=_observe_worker))
    elif configuration.workers:
        run = partial(_supervise, configuration, settings, read)
    else:
        run = partial(_serve_here, configuration, settings, read)
    try:
        trio.run(run)
    except WorkersFailedError as error:
        raise click.ClickException(f"{error}.") from error
    return 0


async def _serve_here(
    configuration: Configuration, settings: Settings, read: Read
) -> None:
    async with open_listeners(
        configuration.listen, configuration.keepalive
    ) as listeners:

        async def serve_and_reload(*, task_status: trio.TaskStatus[Server]) -> None:
            with ungrouped():
                async with trio.open_nursery() as nursery:
                    server = await start_as_last(
                        partial(_serve, configuration, listeners), nursery
                    )
                    await nursery.start(reload_when_told, server, settings, read)
                    task_status.started(server)

        await trio_tcp.serve_until_signalled(
            serve_and_reload, grace=configuration.grace
        )


async def _supervise(
    configuration: Configuration, settings: Settings, read: Read
) -> None:
    """Let workers serve, each of which is this same command line."""

    def observe(event: Event) -> None:
        if isinstance(event, WorkersEvent):
            LOGGER.log(event.level, "%s", event.describe(), extra={"event": event})
        if isinstance(event, ReloadStarted):
            try:
                changed = changed_keys(settings, read())
            except click.ClickException:
                return  # the workers will say what is wrong
            log_unheeded(changed & OF_SUPERVISOR)

    async with open_listeners(
        configuration.listen, configuration.keepalive
    ) as listeners:
        supervisor = Supervisor(
            [sys.executable, *sys.orig_argv[1:]],
            listeners,
            workers=configuration.workers,
            grace=configuration.grace,
            observer=observe,
        )
        await supervisor.run()


async def _serve(
    configuration: Configuration,
    listeners: Sequence[trio.SocketListener],
    *,
    observer: Observer = trio_tcp.log_events,
    task_status: trio.TaskStatus[Server],
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


def _observe_worker(event: Event) -> None:
    """Log what happens in a worker, but not where it listens: the supervisor does."""
    if not isinstance(event, ServerStarted):
        trio_tcp.log_events(event)
