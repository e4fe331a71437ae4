"""What runs in a worker: a server on sockets that the supervisor has opened.

A worker ends in order when it is told to (SIGTERM), and when its supervisor is gone,
whatever that died of: then the control channel is at its end. It ends at once only
when it is killed. A second signal means no more than the first, for the whole of a
service may be signalled at once (``systemctl stop``), and the supervisor adds its own.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import trio

from trio_tcp._errors import ConnectionFault
from trio_tcp._events import LOGGER, DrainReport
from trio_tcp._inherited import listener_from_fd
from trio_tcp._nursery import ungrouped
from trio_tcp._server import Server
from trio_tcp._until_signalled import Serve, start_as_last
from trio_tcp._workers._control import (
    Answer,
    Channel,
    IsDrained,
    IsReady,
    Question,
    open_channel,
)
from trio_tcp._workers._place import Place
from trio_tcp._workers._process import LIVE

__all__ = ["Answers", "ServeListeners", "work"]

Answers = Mapping[str, Callable[[], str]]
"""Who answers which question of the supervisor: `Supervisor.ask`."""

NO_ANSWERS: Final[Answers] = {}


class ServeListeners(Protocol):
    """Serves listeners until drained: `serve_listeners` with a handler and a codec."""

    async def __call__(  # noqa: ASYNC114 - a name that many functions have
        self,
        listeners: Sequence[trio.SocketListener],
        /,
        *,
        task_status: trio.TaskStatus[Server],
    ) -> None:
        """Serve, and report the `Server` once it listens."""
        ...


async def work(serve: ServeListeners, *, answers: Answers = NO_ANSWERS) -> None:
    """Be a worker: serve until the supervisor wants it to end, or has ended.

    Only in the main thread, and in a process that `is_worker`.

    Args:
        serve: any async function that serves the listeners it is given, and reports a
            `Server`.
        answers: functions that answer questions of the supervisor, by name.

    Raises:
        RuntimeError: no supervisor has started this process.
        BaseException: what ``serve`` raises.

    Cancellation:
        Ends the server without a drain.
    """
    place = Place.take()
    control = socket.socket(fileno=place.control)
    control.set_inheritable(False)
    listeners = [listener_from_fd(descriptor) for descriptor in place.listeners]
    async with open_channel(control) as channel:
        with ungrouped():
            report = await _serve(partial(serve, listeners), place, channel, answers)
        if report is not None:
            with suppress(ConnectionFault):  # nobody may be there any more
                await channel.send(IsDrained.of(report))


async def _serve(
    serve: Serve, place: Place, channel: Channel, answers: Answers
) -> DrainReport | None:
    async with trio.open_nursery() as nursery:
        told = trio.Event()
        await nursery.start(_heed_signals, told)
        nursery.start_soon(_answer, channel, answers, told)
        server = await start_as_last(serve, nursery)
        await channel.send(IsReady())
        await told.wait()
        return await server.drain(place.grace)
    return None  # it has ended by itself


async def _heed_signals(
    told: trio.Event, *, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    ) as signals:
        task_status.started()
        async for number in signals:
            # SIGHUP is the supervisor's, who is meant even if all are signalled.
            if number != signal.SIGHUP:
                told.set()


async def _answer(channel: Channel, answers: Answers, told: trio.Event) -> None:
    """Answer questions until the supervisor is gone."""
    with suppress(ConnectionFault):  # gone in the middle of something
        async for statement in channel:
            if isinstance(statement, Question):
                text = _answer_of(answers, statement.name)
                await channel.send(Answer(statement.id, text))
    told.set()


def _answer_of(answers: Answers, question: str) -> str | None:
    if question == LIVE:
        return ""
    if question not in answers:
        return None
    try:
        return answers[question]()
    except Exception:  # noqa: BLE001 - whatever it is, the service goes on without
        LOGGER.exception("no answer to the question %r", question)
        return None
