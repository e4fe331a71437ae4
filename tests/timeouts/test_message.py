"""`message`: how long a message may take to arrive, with `message_rate` as it grows."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.timeouts.timing_out import (
    A_LONG_TIME,
    Text,
    drip,
    late,
    only,
    receive_all,
    serve,
    the_end,
)


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_one_byte_now_and_then_does_not_keep_a_message_alive(
    before: int, autojump_clock: MockClock
) -> None:
    """Slowloris. It does not matter how many messages came before."""
    timeouts = only(message=10, message_rate=8)
    async with serve(receive_all, timeouts) as (served, record):
        client = await served.listener.connect()
        for _ in range(before):
            await drip(client, b"x", every=1, times=9)
            await client.send_all(b"\n")
            await trio.sleep(1000)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client, b"x", 1)
            ended = await the_end(record)
            # 12 bytes by then: one at once, and one each second.
            assert trio.current_time() == began + 10 + 12 / 8
            assert late(ended.error).seconds == 10 + 12 / 8
            nursery.cancel_scope.cancel()


async def test_an_upload_at_the_rate_lasts_as_long_as_it_needs(
    autojump_clock: MockClock,
) -> None:
    received: list[int] = []

    async def receive_one(connection: Text) -> None:
        received.append(len(await connection.receive()))

    async with serve(receive_one, only(message=0.5, message_rate=16)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await drip(client, b"x" * 4, every=0.25, times=4000)
        await client.send_all(b"\n")
        await client.aclose()
        await the_end(record)
    assert received == [16_000]
    assert trio.current_time() == 999.75


@pytest.mark.parametrize(
    ("piece", "ends_at"),
    [
        (b"x" * 12, 5.125 + 21 * 12 / 16),
        (b"x" * 8, 5.125 + 11 * 8 / 16),
        (b"x" * 4, 5.125 + 7 * 4 / 16),
    ],
    ids=["three quarters", "half", "a quarter"],
)
async def test_an_upload_below_the_rate_lives_on_its_grace_for_a_while(
    piece: bytes, ends_at: float, autojump_clock: MockClock
) -> None:
    async with serve(receive_all, only(message=5.125, message_rate=16)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client, piece, 1)
            await the_end(record)
            assert trio.current_time() == ends_at
            nursery.cancel_scope.cancel()


async def test_each_message_has_its_own_time(autojump_clock: MockClock) -> None:
    async with serve(receive_all, only(message=10)) as (served, record):
        client = await served.listener.connect()
        for _ in range(20):
            await client.send_all(b"x")
            await trio.sleep(9)
            # The end of one, and the beginning of the next.
            await client.send_all(b"\nx")
            await trio.sleep(9)
            await client.send_all(b"\n")
            await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 40
        await client.send_all(b"x")
        began = trio.current_time()
        await the_end(record)
        assert trio.current_time() == began + 11


async def test_between_messages_there_is_no_time_for_one(
    autojump_clock: MockClock,
) -> None:
    async with serve(receive_all, only(message=1)) as (served, _):
        client = await served.listener.connect()
        await trio.sleep(A_LONG_TIME)
        await client.send_all(b"a line\n")
        await trio.sleep(A_LONG_TIME)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 1
