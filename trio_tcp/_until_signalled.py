"""A server that runs until a signal, in the caller's own `trio.run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol

import trio

from trio_tcp._kinds import check_function
from trio_tcp._nursery import ungrouped
from trio_tcp._server import Server
from trio_tcp._systemd import notify_systemd
from trio_tcp._validators import check_duration

__all__ = ["Serve", "serve_until_signalled", "start_as_last"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

FIRST_PROCESS: Final = 1
"""Of a machine or a container: the kernel spares it what signals do by default
(pid_namespaces(7)), so that a second one would be lost."""

SHELL_STATUS: Final = 128
"""What a shell adds to the number of a signal."""


class Serve(Protocol):
    """Serves until it is drained: `serve_tcp` with its arguments, for example."""

    async def __call__(  # noqa: ASYNC114 - a name that many functions have
        self, *, task_status: trio.TaskStatus[Server]
    ) -> None:
        """Serve, and report the `Server` once it listens."""
        ...


async def serve_until_signalled(
    serve: Serve,
    *,
    grace: float = 30.0,
    drain_delay: float = 0.0,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then drain.

    What `run_server` does, for a program with a `trio.run` of its own: with other
    listeners, other tasks beside it, or something to open before and to close after.
    The first signal drains the server (`Server.drain`), and this function returns; a
    second one ends the process at once. Only for the main thread.

    systemd is told when the server listens and when it ends (``Type=notify``).

    Args:
        serve: `serve_tcp`, `serve_unix` or `serve_listeners` with its arguments, by
            `functools.partial`; or any async function that reports a `Server` and
            returns when that is drained.
        grace: how long in seconds the drain lets connections finish.
        drain_delay: for how many seconds after the signal clients are accepted as
            before, while `Server.state` announces the drain. As long as it takes a load
            balancer to notice that (`monitoring.serve_status`).
        task_status: ``server = await nursery.start(serve_until_signalled, serve)``
            returns the `Server` once it listens.

    Raises:
        RuntimeError: this is not the main thread.
        ValueError: ``grace`` or ``drain_delay`` is no number of zero or more.
        TypeError: ``serve`` is no function, but perhaps what it has returned.
        BaseException: what ``serve`` raises.

    Cancellation:
        Ends the server without a drain.

    Example::

        async def main():
            async with open_database() as database:
                handler = functools.partial(handle, database)
                serve = functools.partial(
                    trio_tcp.serve_unix, handler, "/run/echo.sock", codec=codecs.Lines()
                )
                await trio_tcp.serve_until_signalled(serve)
    """
    check_function("serve", serve)
    check_duration("grace", grace)
    check_duration("drain_delay", drain_delay)
    with _handlers_restored(), ungrouped():
        async with trio.open_nursery() as nursery:
            # Before anybody is told that the server listens, and may send a signal.
            signalled: trio.Event = await nursery.start(_wait_for_signal)
            server = await start_as_last(serve, nursery)
            notify_systemd("READY=1")
            task_status.started(server)
            await signalled.wait()
            notify_systemd("STOPPING=1")
            server.announce_drain()
            await trio.sleep(drain_delay)
            await server.drain(grace)


async def start_as_last(serve: Serve, nursery: trio.Nursery) -> Server:
    """Start a server in a nursery that has no reason to go on when it has ended."""

    async def serve_to_the_end(*, task_status: trio.TaskStatus[Server]) -> None:
        await serve(task_status=task_status)
        nursery.cancel_scope.cancel()

    server: Server = await nursery.start(serve_to_the_end)
    return server


async def _wait_for_signal(*, task_status: trio.TaskStatus[trio.Event]) -> None:
    """Report an event, which is set by the first signal."""
    signalled = trio.Event()
    with trio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started(signalled)
        async for _ in signals:
            break
    # From here on a signal means what it means to any process. KeyboardInterrupt would
    # wait for the handlers, as every exception in Trio does.
    is_first_process = os.getpid() == FIRST_PROCESS
    for number in SIGNALS:
        signal.signal(number, _exit_as_of if is_first_process else signal.SIG_DFL)
    signalled.set()


def _exit_as_of(number: int, _frame: FrameType | None) -> None:
    """End as a shell reports the death of a signal: this process cannot die of one."""
    os._exit(SHELL_STATUS + number)


@contextmanager
def _handlers_restored() -> Generator[None, None, None]:
    """Let signals mean afterwards what they meant before."""
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            # None: what was there is none of Python's, and cannot be put back.
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
