"""What every timeout promises: its second, a line in the log, a way to replace it."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import Record
from tests.timeouts.timing_out import (
    A_LONG_TIME,
    CASES,
    LINES,
    OFF,
    Case,
    Handler,
    Text,
    end_of,
    late,
    only,
    the_end,
)
from trio_tcp import CloseReason, Timeouts, testing

each_timeout = pytest.mark.parametrize("case", CASES, ids=lambda case: case.timeout)

Start: TypeAlias = Callable[
    [Handler, Timeouts, Record],
    AbstractAsyncContextManager[testing.MemoryListener],
]


@asynccontextmanager
async def our_server(
    handler: Handler, timeouts: Timeouts, record: Record
) -> AsyncGenerator[testing.MemoryListener, None]:
    async with testing.serve_in_memory(
        handler, LINES, timeouts=timeouts, observer=record
    ) as served:
        yield served.listener


@asynccontextmanager
async def trios_server(
    handler: Handler, timeouts: Timeouts, record: Record
) -> AsyncGenerator[testing.MemoryListener, None]:
    listener = testing.MemoryListener()
    serve = trio_tcp.framed(handler, codec=LINES, timeouts=timeouts, observer=record)
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, [listener])
        yield listener
        nursery.cancel_scope.cancel()


each_server = pytest.mark.parametrize("start", [our_server, trios_server])


@each_server
@each_timeout
async def test_each_ends_a_connection_at_its_second(
    case: Case, start: Start, autojump_clock: MockClock
) -> None:
    record = Record()
    seconds = 10 + case.extra
    async with start(case.handler, only(**{case.timeout: 10}), record) as listener:
        client = await listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == seconds
        assert await end_of(client) == case.seen
        assert trio.current_time() == seconds
    assert ended.reason is CloseReason.TIMED_OUT
    assert ended.seconds == seconds
    error = late(ended.error)
    assert (error.timeout, error.seconds) == (case.timeout, seconds)
    assert error.connection_id == ended.id
    (hit,) = record.all(trio_tcp.TimedOut)
    assert (hit.id, hit.timeout, hit.seconds) == (ended.id, case.timeout, seconds)
    assert record.all(trio_tcp.HandlerFailed) == []


@each_server
@each_timeout
async def test_each_can_be_switched_off(
    case: Case, start: Start, autojump_clock: MockClock
) -> None:
    record = Record()
    async with start(case.handler, OFF, record) as listener:
        client = await listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(A_LONG_TIME)
        assert record.all(trio_tcp.ConnectionEnded) == []


@each_timeout
async def test_each_is_a_line_in_the_log_that_names_it(
    case: Case, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="trio_tcp")
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10})
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(100)
        (line,) = [r for r in caplog.records if "connection" in r.getMessage()]
    assert line.levelno == logging.INFO
    assert line.exc_info is None
    assert f"timed out: {case.said}" in line.getMessage()
    named = f"for {10 + case.extra} s (timeouts.{case.timeout})"
    assert line.getMessage().endswith(named)


@pytest.mark.parametrize(
    ("replaced", "ends_at"),
    [(6, 6), (1, 4), (0, 4), (20, 20), (math.inf, math.inf)],
    ids=["sooner", "at once", "zero", "later", "never"],
)
@each_timeout
async def test_each_may_be_replaced_while_it_runs(
    case: Case, replaced: float, ends_at: float, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10}), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(4)
        (connection,) = served.server.connections
        connection.timeouts = only(**{case.timeout: replaced})
        with trio.move_on_after(A_LONG_TIME) as waited:
            ended = await the_end(record)
            assert trio.current_time() == max(4, min(ends_at, replaced) + case.extra)
            error = late(ended.error)
            assert error.timeout == case.timeout
            assert error.seconds == replaced + case.extra
        assert waited.cancelled_caught == (ends_at == math.inf)


@each_timeout
async def test_each_runs_from_where_it_began_however_often_it_is_replaced(
    case: Case, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10}), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        for seconds in (20, 5, math.inf, 7, 1000, 50):
            await trio.sleep(0.5)
            (connection,) = served.server.connections
            connection.timeouts = only(**{case.timeout: seconds})
        await the_end(record)
        assert trio.current_time() == 50 + case.extra


async def test_those_of_a_thousand_connections_do_not_disturb_each_other(
    autojump_clock: MockClock,
) -> None:
    dice = random.Random(1)
    plan = [(dice.choice(CASES[1:]), dice.randrange(1, 500)) for _ in range(1000)]
    ended: list[tuple[int, str, float]] = []

    async def handler(connection: Text) -> None:
        connection.label = await connection.receive()
        case, seconds = plan[int(connection.label)]
        connection.timeouts = only(**{case.timeout: seconds})
        await case.handler(connection)

    def note(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            timeout = late(event.error).timeout
            ended.append((int(event.label), timeout, trio.current_time()))

    expected: list[tuple[int, str, float]] = []
    async with testing.serve_in_memory(handler, LINES, observer=note) as served:
        for number, (case, seconds) in enumerate(plan):
            client = await served.listener.connect()
            begun = case.sent if case.timeout == "message" else b""
            await client.send_all(b"%d\n%b" % (number, begun))
            ends_at = trio.current_time() + seconds + case.extra
            expected.append((number, case.timeout, ends_at))
            await trio.sleep(number % 2 / 4)
        await trio.sleep(1000)
        assert served.server.connections == ()
    assert sorted(ended) == expected
