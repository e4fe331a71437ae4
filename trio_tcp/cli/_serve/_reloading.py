"""SIGHUP: what can change while a service runs, changes; of the rest it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, final

import click

from trio_tcp import Server
from trio_tcp._events import LOGGER
from trio_tcp._systemd import notify_systemd, reloading
from trio_tcp.cli._serve._problems import ConfigurationError, WrongValueError
from trio_tcp.cli._serve._settings import Settings
from trio_tcp.cli._serve._structure import configure

__all__ = ["Reloading"]

CHANGED_HERE: Final = frozenset({"limits", "tls"})
"""Keys of the file that a server takes while it runs."""

OF_SUPERVISOR: Final = frozenset(
    {"listen", "keepalive", "workers", "grace", "drain_delay", "status"}
)
"""Keys of the file that new workers do not read anew."""


@final
class Reloading:
    """The settings that the service runs with, and how to read them anew."""

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self._settings = settings
        self._read = read

    async def heed(self, signals: AsyncIterator[int], server: Server) -> None:
        """At each signal give a server the certificates and limits that are set then.

        Where something is wrong with the settings, that is logged, and nothing changes.
        """
        async for _ in signals:
            notify_systemd(reloading())
            self._reload(server)
            notify_systemd("READY=1")

    def _reload(self, server: Server) -> None:
        try:
            settings = self._read()
            configuration = configure(settings)
            if configuration.tls is not None and server.tls is not None:
                server.tls = configuration.tls.context()
        except (ConfigurationError, WrongValueError) as error:
            for line in str(error).splitlines():
                LOGGER.error("not reloaded: %s", line)
            return
        server.limits = configuration.limits
        LOGGER.info("reloaded: limits and certificates")
        unheeded = self._changed(settings) - CHANGED_HERE
        if (configuration.tls is None) != (server.tls is None):
            unheeded.add("tls")  # from none to some, or the other way round
        _log_unheeded(unheeded)

    def note_for_supervisor(self) -> None:
        """Say what a supervisor does not change when its workers read all anew."""
        try:
            settings = self._read()
        except click.ClickException:
            return  # the new workers will say what is wrong
        _log_unheeded(self._changed(settings) & OF_SUPERVISOR)

    def _changed(self, settings: Settings) -> set[str]:
        """Return the keys, and names of tables, that the service has otherwise."""
        now, then = settings.tree, self._settings.tree
        return {key for key in {*now, *then} if now.get(key) != then.get(key)}


def _log_unheeded(keys: set[str]) -> None:
    if keys:
        LOGGER.warning("to change %s takes a restart", ", ".join(sorted(keys)))
