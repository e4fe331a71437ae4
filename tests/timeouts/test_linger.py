"""`linger`: how long a connection that closes waits for its peer."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from tests.timeouts.timing_out import (
    A_LONG_TIME,
    Case,
    End,
    Text,
    each_about_receiving,
    end_of,
    only,
    receive_all,
    serve,
    the_end,
)
from trio_tcp import CloseReason


@pytest.mark.parametrize("linger", [0, 7, math.inf])
@pytest.mark.parametrize(
    ("said", "seen"),
    [("goodbye", "FIN"), ("x" * 100_000, "RST")],
    ids=["who does not close", "who does not read either"],
)
async def test_a_close_waits_for_a_peer_no_longer_than_linger(
    said: str, seen: End, linger: float, autojump_clock: MockClock
) -> None:
    async def leave(connection: Text) -> None:
        await connection.send(said)
        await trio.sleep(10)

    # The clocks of receiving do not run: nobody receives.
    timeouts = only(linger=linger, first_message=1, idle=1, message=1)
    async with serve(leave, timeouts) as (served, record):
        client = await served.listener.connect()
        with trio.move_on_after(A_LONG_TIME) as waited:
            ended = await the_end(record)
            assert trio.current_time() == 10 + linger
            assert ended.reason is CloseReason.CLOSED
            assert await end_of(client) == seen
        assert waited.cancelled_caught == (linger == math.inf)


@pytest.mark.parametrize(("write", "linger"), [(10, 50), (50, 10)])
async def test_while_a_connection_closes_the_shorter_of_write_and_linger_counts(
    write: float, linger: float, autojump_clock: MockClock
) -> None:
    async def say_and_leave(connection: Text) -> None:
        await connection.send("x" * 100_000)

    timeouts = only(write=write, linger=linger)
    async with serve(say_and_leave, timeouts) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert trio.current_time() == 10
        assert ended.reason is CloseReason.CLOSED  # the first cause counts
        assert await end_of(client) == "RST"


@each_about_receiving
async def test_one_that_lets_it_out_is_closed_at_once(
    case: Case, autojump_clock: MockClock
) -> None:
    """It does not linger for a peer that was waited for long enough."""
    timeouts = only(**{case.timeout: 10}, linger=math.inf)
    async with serve(receive_all, timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await the_end(record)
        assert trio.current_time() == 10 + case.extra
