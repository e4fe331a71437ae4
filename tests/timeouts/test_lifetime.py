"""`lifetime`: how long a connection may be open, whatever it does."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.timeouts.timing_out import (
    End,
    Handler,
    Text,
    echo,
    end_of,
    only,
    pour,
    receive_all,
    serve,
    the_end,
    work,
)
from trio_tcp import CloseReason


async def receive_and_send(connection: Text) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, connection)
        nursery.start_soon(work, connection)
        await pour(connection)


@pytest.mark.parametrize(
    ("handler", "sent", "seen"),
    [
        (work, b"", "FIN"),
        (work, b"unread\n", "RST"),
        (echo, b"hello\n", "FIN"),
        (pour, b"", "RST"),
        (receive_and_send, b"hello\n", "RST"),
    ],
)
async def test_lifetime_ends_a_handler_whatever_it_does(
    handler: Handler, sent: bytes, seen: End, autojump_clock: MockClock
) -> None:
    async with serve(handler, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        await client.send_all(sent)
        ended = await the_end(record)
        assert trio.current_time() == 10
        assert ended.reason is CloseReason.TIMED_OUT
        assert await end_of(client) == seen


async def test_a_life_that_is_over_is_over_once(autojump_clock: MockClock) -> None:
    """Though its handler looks after the time that its end may take."""

    async def leave_slowly(connection: Text) -> None:
        try:
            await trio.sleep_forever()
        finally:
            connection.timeouts = attrs.evolve(connection.timeouts, linger=1)
            with trio.CancelScope(shield=True):
                await trio.sleep(1)

    async with serve(leave_slowly, only(lifetime=10)) as (served, record):
        await served.listener.connect()
        await the_end(record)
        assert len(record.all(trio_tcp.TimedOut)) == 1


async def test_lifetime_ends_a_lively_connection_too(
    autojump_clock: MockClock,
) -> None:
    async with serve(echo, only(lifetime=100)) as (served, record):
        client = await served.listener.connect()
        for _ in range(99):
            await client.send_all(b"hello\n")
            assert await client.receive_some() == b"hello\n"
            await trio.sleep(1)
        assert record.all(trio_tcp.ConnectionEnded) == []
        await the_end(record)
        assert trio.current_time() == 100


async def test_each_life_is_counted_from_its_own_beginning(
    autojump_clock: MockClock,
) -> None:
    async with serve(echo, only(lifetime=10)) as (served, record):
        ends: list[float] = []
        for number in range(1, 4):
            await served.listener.connect()
            await trio.sleep(3)
            assert len(served.server.connections) == number
        while served.server.connections:
            await record.wait(trio_tcp.ConnectionEnded, len(ends) + 1)
            ends.append(trio.current_time())
        assert ends == [10, 13, 16]


async def test_the_end_of_a_life_is_nothing_to_one_that_ended_before(
    autojump_clock: MockClock,
) -> None:
    async def leave(connection: Text) -> None:
        await connection.send("goodbye")

    async with serve(leave, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        assert await end_of(client) == "FIN"
        await client.aclose()
        await trio.sleep(100)
        (ended,) = record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED
