"""`Metrics`: everything that is counted about this process, in one object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from itertools import chain
from typing import Any, Final, TypeVar, cast, final

import trio
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric

from trio_tcp._events import Event, Observer, notify
from trio_tcp._log_events import log_events
from trio_tcp._server import Server
from trio_tcp.monitoring._clients import (
    CLIENT_FIGURES,
    Clients,
    WatchedPool,
    WatchedRequester,
)
from trio_tcp.monitoring._exposition import encode
from trio_tcp.monitoring._servers import SERVER_FIGURES, Servers
from trio_tcp.monitoring._source import Exposition, Readiness
from trio_tcp.monitoring._tally import TALLY_FIGURES, Tally
from trio_tcp.monitoring._timings import TIMING_FIGURES, Timings

__all__ = ["FIGURES", "Metrics"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ServeT = TypeVar("ServeT", bound=Callable[..., Awaitable[Any]])

FIGURES: Final = (*SERVER_FIGURES, *TALLY_FIGURES, *TIMING_FIGURES, *CLIENT_FIGURES)
"""All that there are, in the order of the documentation."""


@final
class Metrics:
    """What Prometheus gets to know about servers and clients.

    It is an observer, to be given to a server, and to clients whose connections are to
    count, too. It also has to be told whom to ask when it is asked: `watch` and its
    kin. Figures with nobody to ask are 0, or not there. All of this is for one thread,
    Trio's, which includes whoever collects from the registry.

    Args:
        registry: where it registers itself. Prometheus's own ``REGISTRY`` also has the
            figures of the process: CPU, memory, descriptors, garbage collection.
        observer: is told of each event, too, after it was counted.

    Raises:
        ValueError: the registry has one of these already.

    Example::

        metrics = monitoring.Metrics()
        serve = partial(serve_tcp, echo, 8888, codec=codecs.Lines(), observer=metrics)
        server = await nursery.start(serve)
        metrics.watch(server)
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        observer: Observer = log_events,
    ) -> None:
        self._registry = registry
        self._observer = observer
        self._tally = Tally()
        self._servers = Servers()
        self._timings = Timings()
        self._clients = Clients()
        registry.register(self)

    def __call__(self, event: Event, /) -> None:
        """Count an event, and pass it on."""
        self._tally.note(event)
        notify(self._observer, event)

    # Whom to ask ---------------------------------------------------------------------

    def watch(self, server: Server) -> None:
        """Have a server's figures read from now on, whenever they are asked for.

        One that has ended goes on to count in what was counted.
        """
        self._servers.watch(server)

    def watched(self, serve: ServeT) -> ServeT:
        """Make a function that serves watch its own server.

        For those to whom such a function is given, and who start it themselves.

        Args:
            serve: `serve_tcp` or its kin, or what has the same ``task_status``.

        Example::

            serve = metrics.watched(partial(serve_tcp, echo, 8888, codec=codec))
            await serve_until_signalled(serve)
        """

        @wraps(serve)
        async def watched(  # noqa: ASYNC114 - it has the name of what it is given
            *args: object,
            task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
            **options: object,
        ) -> Any:  # noqa: ANN401 - what that returns
            watching = _Watching(self.watch, task_status)
            return await serve(*args, task_status=watching, **options)

        return cast("ServeT", watched)

    def watch_pool(self, name: str, pool: WatchedPool) -> None:
        """Have a pool's figures read from now on; in place of an older one's.

        Args:
            name: the label ``pool``.
            pool: of `open_pool`.
        """
        self._clients.pools[name] = pool

    def watch_requester(self, name: str, requester: WatchedRequester) -> None:
        """Have a requester's figures read from now on; in place of an older one's.

        Args:
            name: the label ``requester``.
            requester: a `Requester`, or of `open_requester` or `open_requester_pool`.
        """
        self._clients.requesters[name] = requester

    def timed(self, function: FunctionT) -> FunctionT:
        """Have the calls of a function timed that is then given to `respond`.

        This is the only figure that costs something for each message.

        Args:
            function: plain or async. Its name is the label ``function``; those of the
                same name share their figures.

        Returns:
            A function that does the same, of the same kind, with the same signature.

        Example::

            handler = trio_tcp.respond(metrics.timed(price))
        """
        return self._timings.timed(function)

    # Who asks ------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """Return all figures as they are now, as a registry wants to have them."""
        return chain(
            self._servers.collect(),
            self._tally.collect(),
            self._timings.collect(),
            self._clients.collect(),
        )

    def describe(self) -> list[Metric]:
        """Return all figures without values: a registry takes each but once."""
        return [figure.described() for figure in FIGURES]

    def readiness(self) -> Readiness:
        """Say whether clients may be sent here: all servers watched accept."""
        return self._servers.readiness()

    async def expose(self, accept: str = "") -> Exposition:
        """Return all figures of the registry, in a format that suits a client.

        Args:
            accept: the ``Accept`` header of HTTP.

        Cancellation:
            Changes nothing.
        """
        await trio.lowlevel.checkpoint()
        return encode(self._registry, accept)


@final
class _Watching:
    """Passes a server on that is reported."""

    def __init__(
        self, watch: Callable[[Server], None], task_status: trio.TaskStatus[Server]
    ) -> None:
        self._watch = watch
        self._task_status = task_status

    def started(self, value: Any = None) -> None:  # noqa: ANN401 - it is overloaded
        """Watch it first."""
        self._watch(value)
        self._task_status.started(value)
