"""What a service tells about itself over HTTP: from one process, or from all workers.

Imported only where it is asked for, as it needs the extra ``monitoring``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from trio_tcp import Server, monitoring
from trio_tcp._events import LOGGER
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._workers import Answers, Supervisor
from trio_tcp.cli._listening import cannot_listen
from trio_tcp.cli._parameters import HostAddress
from trio_tcp.cli._serve._log import log_without_addresses

__all__ = ["ANSWERS", "WorkersStatus", "open_status"]

METRICS: Final = "metrics"
"""The question for the figures of a worker."""

ANSWERS: Final[Answers] = {METRICS: monitoring.exposition}
"""What a worker answers to its supervisor."""


@final
class WorkersStatus:
    """The supervisor's word for all of its workers."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def readiness(self) -> monitoring.Readiness:
        """Say whether clients may be sent here."""
        if self._supervisor.ready:
            return monitoring.Readiness(True, "workers serve")
        return monitoring.Readiness(False, "no worker is ready, or all are to end")

    async def expose(self, accept: str) -> monitoring.Exposition:
        """Return the figures of all workers that answer, in Prometheus's own format."""
        del accept  # the merged text is in one format only
        texts = await self._supervisor.ask(METRICS)
        merged = monitoring.merge({str(slot): text for slot, text in texts.items()})
        return monitoring.Exposition(merged.encode(), CONTENT_TYPE_PLAIN_0_0_4)


@asynccontextmanager
async def open_status(
    address: HostAddress, source: monitoring.StatusSource
) -> AsyncGenerator[None, None]:
    """Answer about the service within a block, to its very end.

    Raises:
        click.ClickException: it cannot listen there.
    """
    async with open_quiet_nursery() as nursery:
        serve_status = partial(
            monitoring.serve_status,
            address.port,
            host=address.host,
            source=source,
            observer=log_without_addresses,
        )
        try:
            server: Server = await nursery.start(serve_status)
        except OSError as error:
            raise cannot_listen(address, error) from error
        where = " and ".join(f"http://{one}" for one in server.addresses)
        LOGGER.info("status on %s", where)
        yield
        nursery.cancel_scope.cancel()
