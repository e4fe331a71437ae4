"""The log, on standard error: for people or for programs, and never in the way."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Final, final

from trio_tcp import Event, ServerStarted, log_events
from trio_tcp.cli._serve._configuration import Log

__all__ = ["log_without_addresses", "start_log"]

STANDARD_ERROR: Final = 2


def start_log(log: Log) -> None:
    """Write what `logging` gets, of this package and of the service, to standard error.

    What cannot be written is lost: a disk that is full, or a reader of a pipe that is
    gone, ends no service.
    """
    handler: logging.Handler
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - typeshed; it was closed: its number may be a client's by now
        handler = logging.NullHandler()
    else:
        handler = logging.StreamHandler(_StandardError())
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


@final
class _StandardError:
    """Writes without a buffer.

    One that cannot be emptied would be tried again when the process exits, which then
    has the exit code 120.
    """

    def write(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        with suppress(OSError):
            while rest:
                rest = rest[os.write(STANDARD_ERROR, rest) :]

    def flush(self) -> None:
        """Nothing waits."""
