"""`write`: how long a peer may take nothing of what is to be sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.timeouts.timing_out import (
    A_LONG_TIME,
    PIECE,
    Text,
    end_of,
    late,
    only,
    pour,
    serve,
    the_end,
)
from trio_tcp import CloseReason, PeerTooSlowError


async def test_a_peer_that_takes_nothing_fails_all_calls_at_the_same_second(
    autojump_clock: MockClock,
) -> None:
    outcome: dict[str, tuple[float, str]] = {}

    async def handler(connection: Text) -> None:
        async def expect(name: str, call: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(PeerTooSlowError) as caught:
                await call()
            assert caught.value.connection_id == connection.id
            outcome[name] = trio.current_time(), str(caught.value)

        async def pour_on() -> None:
            await pour(connection)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, "send", pour_on)
            nursery.start_soon(expect, "send in line", pour_on)
            nursery.start_soon(expect, "flush", connection.flush)
            nursery.start_soon(expect, "receive", connection.receive)
        assert connection.close_reason is CloseReason.TIMED_OUT
        # There is no way back.
        await expect("late send", partial(connection.send, "x"))
        await expect("late send_many", partial(connection.send_many, ["x"]))
        await expect("late flush", connection.flush)
        await expect("late receive", connection.receive)
        await expect("late send_eof", connection.send_eof)
        with pytest.raises(PeerTooSlowError):
            connection.send_nowait("x")
        assert connection.statistics().bytes_queued == 0

    async with serve(handler, only(write=10)) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert late(ended.error).timeout == "write"
        assert await end_of(client) == "RST"
    said = "the peer took nothing of what was sent for 10 s (timeouts.write)"
    assert len(outcome) == 9
    assert set(outcome.values()) == {(10, said)}


async def test_a_peer_that_takes_a_piece_in_time_is_never_too_slow(
    autojump_clock: MockClock,
) -> None:
    async with serve(pour, only(write=10), capacity=PIECE) as (served, record):
        client = await served.listener.connect()
        for _ in range(100):
            await trio.sleep(9)
            assert len(await client.receive_some(PIECE)) == PIECE
        assert record.all(trio_tcp.ConnectionEnded) == []
        await the_end(record)
        assert trio.current_time() == 100 * 9 + 10


async def test_where_nothing_waits_to_be_sent_nobody_is_too_slow(
    autojump_clock: MockClock,
) -> None:
    async def send_some(connection: Text) -> None:
        for _ in range(3):
            await connection.send("x" * 100_000)
            await connection.flush()
            await trio.sleep(A_LONG_TIME)

    async with serve(send_some, only(write=10)) as (served, record):
        client = await served.listener.connect()
        for _ in range(3):
            await trio.sleep(9)
            received = 0
            while received < 100_001:
                received += len(await client.receive_some())
            await trio.sleep(A_LONG_TIME - 9)
        assert record.all(trio_tcp.ConnectionEnded) == []


async def test_a_peer_is_too_slow_also_while_nobody_sends_or_receives(
    autojump_clock: MockClock,
) -> None:
    """What is queued is the connection's to deliver, or not."""

    async def fill_and_work(connection: Text) -> None:
        with pytest.raises(trio.WouldBlock):
            while True:
                connection.send_nowait("x" * 9999)
                await trio.lowlevel.checkpoint()
        await trio.sleep(9.5)
        reasons = [connection.close_reason]
        await trio.sleep(1)
        reasons.append(connection.close_reason)
        assert reasons == [None, CloseReason.TIMED_OUT]
        assert late(connection.close_error).timeout == "write"
        assert connection.statistics().bytes_queued == 0
        await connection.aclose()

    async with serve(fill_and_work, only(write=10)) as (served, record):
        client = await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 10.5
        assert await end_of(client) == "RST"


async def test_a_send_eof_that_waits_for_a_queue_fails_with_it(
    autojump_clock: MockClock,
) -> None:
    async def say_and_end(connection: Text) -> None:
        await connection.send("x" * 100_000)
        with pytest.raises(PeerTooSlowError, match=r"timeouts\.write"):
            await connection.send_eof()
        assert trio.current_time() == 10

    async with serve(say_and_end, only(write=10)) as (served, record):
        await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 10
