"""`idle`: how long both sides may say nothing, and what counts as saying something."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from tests.timeouts.timing_out import (
    PIECE,
    Text,
    drip,
    end_of,
    late,
    only,
    pour,
    receive_all,
    serve,
    the_end,
)
from trio_tcp import CloseReason, PeerTooSlowError


@pytest.mark.parametrize("said", [b"a line\n", b"x"], ids=["messages", "bytes"])
async def test_idle_begins_anew_with_whatever_the_peer_says(
    said: bytes, autojump_clock: MockClock
) -> None:
    async with serve(receive_all, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await drip(client, said, every=9, times=20)
        assert trio.current_time() == 19 * 9
        ended = await the_end(record)
        assert late(ended.error).timeout == "idle"
        assert trio.current_time() == 19 * 9 + 10


async def test_idle_begins_anew_with_whatever_this_side_says(
    autojump_clock: MockClock,
) -> None:
    """Also where one task sends, and another waits to receive."""

    async def tick(connection: Text) -> None:
        for _ in range(20):
            await trio.sleep(9)
            await connection.send("tick")

    async def handler(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, connection)
            await receive_all(connection)

    async with serve(handler, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert ended.reason is CloseReason.TIMED_OUT
        assert trio.current_time() == 20 * 9 + 10
        assert await client.receive_some() == b"tick\n" * 20


async def test_a_handler_that_sends_in_between_is_not_idle(
    autojump_clock: MockClock,
) -> None:
    async def tick(connection: Text) -> None:
        for _ in range(20):
            with trio.move_on_after(9):
                await connection.receive()
            await connection.send("tick")
            await connection.flush()  # it goes out while nobody receives
        await connection.receive()

    async with serve(tick, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 20 * 9 + 10
        assert await client.receive_some() == b"tick\n" * 20


async def test_what_the_peer_does_not_take_is_not_said(
    autojump_clock: MockClock,
) -> None:
    async def insist(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour, connection)
            await receive_all(connection)

    async with serve(insist, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await trio.sleep(6)
        await client.receive_some(PIECE)
        ended = await the_end(record)
        assert late(ended.error).timeout == "idle"
        assert trio.current_time() == 6 + 10
        assert await end_of(client) == "RST"  # for what it has not taken


async def test_at_the_very_second_of_a_timeout_a_message_may_win_or_lose(
    autojump_clock: MockClock,
) -> None:
    """But if it was read, it is received."""
    lines: list[str] = []

    async def handler(connection: Text) -> None:
        lines.clear()
        opened_at = trio.current_time()
        with pytest.raises(PeerTooSlowError):
            async for line in connection:
                lines.append(line)  # noqa: PERF401 - it is left with an exception
        assert connection.statistics().bytes_received == 2 * len(lines)
        assert trio.current_time() - opened_at == 10 + 10 * len(lines)

    for _ in range(20):
        async with serve(handler, only(idle=10)) as (served, record):
            client = await served.listener.connect()
            await trio.sleep(10)
            with suppress(trio.BrokenResourceError):
                await client.send_all(b"!\n")
            await client.send_eof()
            await the_end(record)
