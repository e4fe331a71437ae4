"""Serving in several processes, each of which is this same command line."""

from __future__ import annotations

import sys

from trio_tcp import Event, log_events
from trio_tcp._workers import SPREADS, ReloadStarted, Supervisor, WorkersEvent
from trio_tcp.cli._listening import open_listeners
from trio_tcp.cli._parameters import HostAddress
from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._listening import open_own
from trio_tcp.cli._serve._reloading import Reloading

__all__ = ["supervise"]


async def supervise(configuration: Configuration, reloading: Reloading) -> None:
    """Let workers serve, and answer for them.

    Raises:
        click.ClickException: it cannot listen.
        WorkersFailedError: the workers do not live.
    """

    def observe(event: Event) -> None:
        if isinstance(event, WorkersEvent):
            log_events(event)
        if isinstance(event, ReloadStarted):
            reloading.note_for_supervisor()

    hosts = [a for a in configuration.listen if SPREADS and isinstance(a, HostAddress)]
    shared = [address for address in configuration.listen if address not in hosts]
    async with (
        open_listeners(shared, configuration.keepalive) as listeners,
        open_own(hosts, configuration.workers, configuration.keepalive) as own,
    ):
        supervisor = Supervisor(
            # As this process was started: by a script or by -m, with Python's options.
            [sys.executable, *sys.orig_argv[1:]],
            listeners,
            own_listeners=own,
            workers=configuration.workers,
            grace=configuration.grace,
            drain_delay=configuration.drain_delay,
            observer=observe,
        )
        if configuration.status is None:
            await supervisor.run()
            return
        from trio_tcp.cli._serve._status import (  # noqa: PLC0415 - it needs an extra
            WorkersStatus,
            open_status,
        )

        async with open_status(configuration.status, WorkersStatus(supervisor)):
            await supervisor.run()
