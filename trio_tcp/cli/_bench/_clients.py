"""The tasks of a run: what each does as long as requests are due.

A connection that breaks, or is not to be had, is counted, and tried again after a
while, which is longer each time: a server that is down is neither waited for in vain
nor hammered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import trio

import trio_tcp
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._bench._asker import Asker, Connection
from trio_tcp.cli._bench._failures import FAILURES, WRONG_REPLY

if TYPE_CHECKING:
    from trio_tcp.cli._bench._load import Load

__all__ = ["ask", "pour", "visit"]

BACKOFF: Final = trio_tcp.Backoff(
    initial=0.05, maximum=1.0, jitter="decorrelated", healthy=1.0
)


async def ask(
    load: Load,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep a connection open, over which requests are in flight.

    Args:
        load: to which it belongs.
        task_status: is told when it has a connection, or has failed to get one.
    """

    async def use(connection: Connection) -> None:
        async with open_quiet_nursery() as nursery:
            await Asker(load, connection, nursery).run()

    await _keep_connected(load, use, task_status)


async def pour(
    load: Load,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep a connection open, and send one message after the other over it.

    Args:
        load: to which it belongs.
        task_status: as of `ask`.
    """

    async def use(connection: Connection) -> None:
        faults: list[Exception] = []
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(_discard, connection, faults, nursery.cancel_scope)
            with load.under_way():
                await _pour_into(load, connection)
            nursery.cancel_scope.cancel()
        if faults:
            raise faults[0]

    await _keep_connected(load, use, task_status)


async def _pour_into(load: Load, connection: Connection) -> None:
    tally = load.tally
    while (due := await load.next_due()) is not None:
        sent = trio.current_time()
        _, frame = next(load.frames)
        await connection.send(frame)
        now = trio.current_time()
        tally.last_reply = now
        if due >= tally.begin:
            tally.latencies.append(now - due)
            if load.plan.rate is not None:
                tally.uncorrected.append(now - sent)
    await connection.flush()


async def _discard(
    connection: Connection, faults: list[Exception], scope: trio.CancelScope
) -> None:
    """Receive whatever the server says, so that it is not kept from reading.

    How the connection ends is added to the faults, and the scope cancelled.
    """
    while not faults:
        try:
            await connection.receive()
        except trio_tcp.MalformedMessageError:
            pass  # nobody wants to know
        except FAILURES as error:
            faults.append(error)
            scope.cancel()


async def _keep_connected(
    load: Load,
    use: trio_tcp.Handler[object, bytes],
    task_status: trio.TaskStatus[None],
) -> None:
    delays = _delays(load)
    while not load.is_over:
        opened = trio.current_time()
        try:
            async with load.open() as connection:
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await load.begun.wait()
                await use(connection)
                return
        except FAILURES as error:
            load.fail(error)
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
        if trio.current_time() - opened >= BACKOFF.healthy:
            delays = _delays(load)
        await trio.sleep(next(delays))


def _delays(load: Load) -> Iterator[float]:
    return BACKOFF.delays(load.random)


async def visit(load: Load) -> None:
    """Open a connection for each request, and close it after the reply."""
    delays = _delays(load)
    while (due := await load.next_due()) is not None:
        with load.under_way():
            if await _visit_once(load, due):
                delays = _delays(load)
                continue
        await trio.sleep(next(delays))


async def _visit_once(load: Load, due: float) -> bool:
    """Send one request, and say whether the reply came."""
    tally = load.tally
    sent = trio.current_time()
    is_answered = False
    try:
        with trio.fail_after(load.plan.timeout) as scope:
            async with load.open() as connection:
                number, frame = next(load.frames)
                await connection.send(frame)
                reply = await connection.receive()
                is_answered = True
                scope.deadline = math.inf  # closing has its own: the linger
                now = tally.last_reply = trio.current_time()
                if not load.plan.is_expected(number, reply):
                    tally.errors[WRONG_REPLY] += 1
                elif due >= tally.begin:
                    tally.latencies.append(now - due)
                    if load.plan.rate is not None:
                        tally.uncorrected.append(now - sent)
    except FAILURES as error:
        load.fail(error)
        return False
    finally:
        tally.unanswered += not is_answered and due >= tally.begin
    return True
