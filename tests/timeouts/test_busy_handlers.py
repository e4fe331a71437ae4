"""The clocks of receiving run while a handler waits, and only then."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.timeouts.timing_out import (
    WHILE_RECEIVING,
    Case,
    Text,
    each_about_receiving,
    late,
    only,
    serve,
    the_end,
)


@pytest.mark.parametrize(
    ("case", "ends_at"),
    [*zip(WHILE_RECEIVING, [1010, 2010, 1013], strict=True)],
    ids=["first_message", "idle", "message"],
)
async def test_a_busy_handler_does_not_make_its_peer_late(
    case: Case, ends_at: float, autojump_clock: MockClock
) -> None:
    async def busy(connection: Text) -> None:
        while True:
            await trio.sleep(1000)
            await connection.receive()

    async with serve(busy, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await the_end(record)
        assert trio.current_time() == ends_at


@pytest.mark.parametrize("busy", [0, 100])
@each_about_receiving
async def test_a_handler_that_looks_up_now_and_then_does_not_make_its_time_endless(
    case: Case, busy: int, autojump_clock: MockClock
) -> None:
    """The time in which it waits adds up; the time in which it does not, does not."""

    async def look_up(connection: Text) -> None:
        while True:
            with trio.move_on_after(3):
                await connection.receive()
            await trio.sleep(busy)

    seconds = 10 + case.extra
    waits, rest = divmod(seconds, 3)
    ends_at = waits * (3 + busy) + rest
    if case.timeout == "idle":  # it was busy first with the one message that came
        ends_at += busy
    async with serve(look_up, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == ends_at
        assert late(ended.error).seconds == seconds


@each_about_receiving
async def test_it_is_noticed_too_where_a_task_watches_for_the_peers_end(
    case: Case, autojump_clock: MockClock
) -> None:
    """And even if the time is over just when a wait begins anew."""

    async def look_up(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            while True:
                with trio.move_on_after(0.5):
                    await connection.receive()

    for _ in range(10):
        began = trio.current_time()
        async with serve(look_up, only(**{case.timeout: 10})) as (served, record):
            client = await served.listener.connect()
            await client.send_all(case.sent)
            await the_end(record)
            assert trio.current_time() - began == 10 + case.extra
