"""The pages that an operator's programs ask for: figures, and how the server is.

They are on a port of their own, and that must not become the way in, or the way to
bring the server down. So everything about it is small: few connections, short waits,
and figures are collected at most ten times a second, whoever asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Final, final

import trio

from trio_tcp._events import Observer
from trio_tcp._http import Reply, Request, converse
from trio_tcp._log_events import log_events
from trio_tcp._options import Limits, Timeouts
from trio_tcp._serve import serve_tcp
from trio_tcp._server import Server
from trio_tcp.codecs import Chunks
from trio_tcp.monitoring._source import StatusSource

__all__ = ["serve_status"]

LIMITS: Final = Limits(
    max_connections=32,
    max_per_address=16,
    when_full="reject",
    max_buffered_bytes=16 << 20,
)
"""A handful of scrapers and probes, each with a connection or two. Nobody alone has all
places, and keeps them for minutes: a probe that is refused has the service killed."""

TIMEOUTS: Final = Timeouts(
    first_message=5.0, idle=300.0, write=10.0, lifetime=3600.0, linger=2.0
)
"""Prometheus keeps its connection from one scrape to the next, which may be minutes."""

SCRAPE_SECONDS: Final = 0.1
"""From one collection of figures to the next. It takes milliseconds, in which nothing
else runs."""


async def serve_status(
    port: int,
    *,
    source: StatusSource,
    host: str | bytes | None = "127.0.0.1",
    observer: Observer = log_events,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``/metrics``, ``/live`` and ``/ready`` over HTTP/1.1, until cancelled.

    - ``/metrics``: all figures, for Prometheus.
    - ``/live``: 200, if anything is answered at all: Trio's loop turns.
    - ``/ready``: 200 while clients may be sent here, 503 from the announcement of a
      drain on (`Server.announce_drain`), or while a server is suspended. The body, JSON
      as that of ``/live``, says why.

    Whoever reaches the port can read how busy the server is; so by default only this
    machine can.

    Args:
        port: to listen on; 0 lets the system choose one.
        source: whom to ask, `Metrics` as a rule.
        host: as `serve_tcp`; None for all interfaces, as probes from another machine
            need it.
        observer: is told what happens on this port. Not `Metrics`, which would count
            it in.
        task_status: reports the `Server`, as `serve_tcp` does.

    Raises:
        OSError: it cannot listen there.

    Cancellation:
        Ends it. Let it end last, so that it can say until then that nobody is to come.

    Example::

        await nursery.start(partial(monitoring.serve_status, 9100, source=metrics))
    """
    await serve_tcp(
        partial(converse, _Pages(source).answer, observer),
        port,
        codec=Chunks(),
        host=host,
        limits=LIMITS,
        timeouts=TIMEOUTS,
        observer=observer,
        task_status=task_status,
    )


@final
class _Pages:
    """Which page is where."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source
        self._scraping = trio.Lock()
        self._next_scrape = -float("inf")
        self._pages: dict[str, Callable[[Request], Awaitable[Reply]]] = {
            "/metrics": self._metrics,
            "/live": self._live,
            "/ready": self._ready,
        }

    async def answer(self, request: Request) -> Reply:
        """Answer one request."""
        page = self._pages.get(request.path)
        if page is None:
            return Reply.error(HTTPStatus.NOT_FOUND)
        if request.method not in ("GET", "HEAD"):
            return Reply.error(
                HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}
            )
        return await page(request)

    async def _metrics(self, request: Request) -> Reply:
        async with self._scraping:
            await trio.sleep_until(self._next_scrape)
            exposition = await self._source.expose(request.headers.get("accept", ""))
            self._next_scrape = trio.current_time() + SCRAPE_SECONDS
        return Reply(HTTPStatus.OK, exposition.text, exposition.content_type)

    async def _live(self, _: Request) -> Reply:
        return Reply.json(HTTPStatus.OK, {"live": True, "reason": "it answers"})

    async def _ready(self, _: Request) -> Reply:
        now = self._source.readiness()
        status = HTTPStatus.OK if now.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Reply.json(status, {"ready": now.is_ready, "reason": now.reason})
