"""`run_workers`: a service of several processes as a whole program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain

import trio

from trio_tcp._events import Observer
from trio_tcp._listen import open_tcp_listeners
from trio_tcp._log_events import log_events
from trio_tcp._validators import check_whole
from trio_tcp._workers._own_sockets import SPREADS, open_own_listeners
from trio_tcp._workers._supervision import DEFAULT_SUPERVISION, Supervision
from trio_tcp._workers._supervisor import Supervisor
from trio_tcp._workers._target import check_target

__all__ = ["run_workers", "serve_with_workers"]


def run_workers(
    serve: str,
    port: int,
    *,
    workers: int,
    host: str | bytes | None = None,
    backlog: int | None = None,
    reuse_port: bool = SPREADS,
    grace: float = 30.0,
    supervision: Supervision = DEFAULT_SUPERVISION,
    observer: Observer = log_events,
) -> None:
    """Serve clients over TCP with several processes, until SIGINT or SIGTERM.

    Each worker is a new Python, which imports ``serve`` anew. It serves as a process
    alone would; limits hold in each. A worker that dies is replaced.

    SIGHUP replaces them all: new workers import what is there now, code as well as
    certificates. Once all of them are ready, the old ones drain. If one does not become
    ready, the old ones stay. SIGTERM and SIGINT (Ctrl-C) drain all, and this function
    returns; a second one ends everything at once. Only for the main thread.

    systemd is told all of it (``Type=notify-reload``).

    Args:
        serve: ``"module:object"``: an async function that serves the listeners it is
            given and reports a `Server`, such as `serve_listeners` with a handler and
            a codec.
        port: to listen on.
        workers: how many processes; not more than there are cores helps.
        host: as `serve_tcp`.
        backlog: as `serve_tcp`.
        reuse_port: give each worker a socket of its own (``SO_REUSEPORT``), over which
            the kernel spreads clients evenly: the default on Linux. Otherwise all share
            one, and the quickest may take most of those who come at once.
        grace: how long in seconds a drain lets connections finish.
        supervision: how long to wait for workers, and how to replace them.
        observer: is told what happens to workers. What happens in them, their own
            observers are told.

    Raises:
        WorkersFailedError: the workers do not become ready, or die again and again.
        OSError: it cannot listen there.
        ValueError: an argument makes no sense.
        RuntimeError: this system cannot hand sockets down to a process (Windows).

    Example::

        # service.py
        serve = functools.partial(
            trio_tcp.serve_listeners, echo, codec=codecs.Lines()
        )

        if __name__ == "__main__":
            trio_tcp.run_workers("service:serve", 8888, workers=4)
    """

    async def main() -> None:
        shared: list[trio.SocketListener] = []
        own: list[list[trio.SocketListener]] = []
        if reuse_port:
            own = await open_own_listeners(port, workers, host=host, backlog=backlog)
        else:
            shared = await open_tcp_listeners(port, host=host, backlog=backlog)
        await serve_with_workers(
            serve,
            shared,
            own_listeners=own,
            workers=workers,
            grace=grace,
            supervision=supervision,
            observer=observer,
        )

    check_target(serve)
    check_whole("workers", workers, 1)
    trio.run(main)


async def serve_with_workers(
    serve: str,
    listeners: Sequence[trio.SocketListener],
    *,
    workers: int,
    own_listeners: Sequence[Sequence[trio.SocketListener]] = (),
    grace: float = 30.0,
    supervision: Supervision = DEFAULT_SUPERVISION,
    observer: Observer = log_events,
) -> None:
    """Serve the clients of any listening sockets with several processes.

    What `run_workers` does, in a `trio.run` of the caller's own: for Unix sockets, for
    those of systemd, for several at once.

    Args:
        serve: as `run_workers`.
        listeners: all workers accept from them. They are closed at the end, in any
            case.
        workers: as `run_workers`.
        own_listeners: for each worker, from which it alone accepts. Likewise.
        grace: as `run_workers`.
        supervision: as `run_workers`.
        observer: as `run_workers`.

    Raises:
        WorkersFailedError: as `run_workers`.
        ValueError: likewise.
        RuntimeError: likewise.

    Cancellation:
        Kills the workers.

    Example::

        async def main():
            async with trio_tcp.open_unix_listener("/run/echo.sock") as listener:
                await trio_tcp.serve_with_workers(
                    "service:serve", [listener], workers=4
                )
    """
    try:
        check_target(serve)
        supervisor = Supervisor(
            [sys.executable, "-m", "trio_tcp._workers", serve, *sys.path],
            listeners,
            own_listeners=own_listeners,
            workers=workers,
            grace=grace,
            supervision=supervision,
            observer=observer,
        )
    except (TypeError, ValueError, RuntimeError):
        for listener in chain(listeners, *own_listeners):
            listener.socket.close()
        raise
    await supervisor.run()
