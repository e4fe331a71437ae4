"""SIGHUP, for a service in one process: what can change while it runs, changes."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Final

import trio

from trio_tcp import Server
from trio_tcp._systemd import notify_systemd, reloading
from trio_tcp.cli._serve._problems import ConfigurationError, WrongValueError
from trio_tcp.cli._serve._settings import Settings
from trio_tcp.cli._serve._structure import configure

__all__ = ["changed_keys", "log_unheeded", "reload_when_told"]

LOGGER = logging.getLogger("trio_tcp")

RELOADED: Final = frozenset({"limits", "tls"})
"""Keys of the file that take effect without a restart."""


async def reload_when_told(
    server: Server,
    settings: Settings,
    read: Callable[[], Settings],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """At each SIGHUP give the server the certificates and limits that are set then.

    What is wrong then is logged, and nothing changes.
    """
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            notify_systemd(reloading())
            settings = _reload(server, settings, read)
            notify_systemd("READY=1")


def _reload(
    server: Server, settings: Settings, read: Callable[[], Settings]
) -> Settings:
    try:
        new = read()
        configuration = configure(new)
        if configuration.tls is not None and server.tls is not None:
            server.tls = configuration.tls.context()
    except (ConfigurationError, WrongValueError) as error:
        for line in str(error).splitlines():
            LOGGER.error("not reloaded: %s", line)  # noqa: TRY400 - the user's mistake
        return settings
    server.limits = configuration.limits
    LOGGER.info("reloaded: limits and certificates")
    log_unheeded(changed_keys(settings, new) - RELOADED)
    return new


def changed_keys(old: Settings, new: Settings) -> set[str]:
    """Return the keys, and names of tables, whose values are not what they were."""
    keys = {*old.tree, *new.tree}
    return {key for key in keys if old.tree.get(key) != new.tree.get(key)}


def log_unheeded(keys: set[str]) -> None:
    """Say which changes take no effect before the service is started anew."""
    if keys:
        LOGGER.warning("to change %s takes a restart", ", ".join(sorted(keys)))
