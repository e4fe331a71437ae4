"""The log, on standard error: for people or for programs, and never in the way."""

from __future__ import annotations

import logging

from trio_tcp import Event, ServerStarted, log_events
from trio_tcp.cli._serve._configuration import Log

__all__ = ["log_without_addresses", "start_log"]


def start_log(log: Log) -> None:
    """Write what `logging` gets, of this package and of the service, to standard error.

    What cannot be written is lost, and nothing else happens: with a disk that is full,
    with a reader of a pipe that is gone (`logging.Handler.handleError`), or where
    standard error is closed.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(log))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level.upper())


def _formatter(log: Log) -> logging.Formatter:
    if log.format == "json":
        from trio_tcp.monitoring import JsonFormatter  # noqa: PLC0415 - if it is asked for

        return JsonFormatter()
    return logging.Formatter("%(asctime)s [%(process)d] %(levelname)s %(message)s")


def log_without_addresses(event: Event) -> None:
    """Log what happens, but not where a server listens: somebody else says that."""
    if not isinstance(event, ServerStarted):
        log_events(event)
