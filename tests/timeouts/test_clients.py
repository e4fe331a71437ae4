"""Timeouts of a client: those that hold for it, and those that mean nothing to it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import Record
from tests.timeouts.timing_out import (
    A_LONG_TIME,
    CASES,
    LINES,
    Case,
    end_of,
    only,
    receive_all,
)
from trio_tcp import CloseReason, PeerTooSlowError, testing


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.timeout in {"idle", "message", "write"}],
    ids=lambda case: case.timeout,
)
async def test_a_client_waits_for_its_server_no_longer(
    case: Case, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()
    record = Record()
    with pytest.raises(PeerTooSlowError) as caught:
        async with trio_tcp.open_connection(
            ours,
            codec=LINES,
            timeouts=only(**{case.timeout: 10}),
            observer=record,
        ) as connection:
            await theirs.send_all(case.sent)
            await case.handler(connection)
    assert trio.current_time() == 10 + case.extra
    assert caught.value.timeout == case.timeout
    (ended,) = record.all(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TIMED_OUT
    # A block that raises has its connection aborted.
    assert await end_of(theirs) == "RST"


@pytest.mark.parametrize("case", [CASES[1], CASES[2]], ids=["idle", "message"])
async def test_a_client_that_catches_it_can_end_in_order(
    case: Case, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()
    timeouts = only(**{case.timeout: 10}, linger=7)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=timeouts
    ) as connection:
        await theirs.send_all(case.sent)
        with pytest.raises(PeerTooSlowError):
            await receive_all(connection)
        await connection.send("goodbye")
    assert trio.current_time() == 10 + case.extra + 7
    assert await theirs.receive_some() == b"goodbye\n"
    assert await end_of(theirs) == "FIN"


async def test_a_servers_timeouts_mean_nothing_to_a_client(
    autojump_clock: MockClock,
) -> None:
    """It may be the server that speaks when it likes, and nobody's life is counted."""
    ours, _ = testing.memory_stream_pair()
    timeouts = only(first_message=1, lifetime=1, connect=1, handshake=1, linger=0)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=timeouts
    ) as connection:
        with trio.move_on_after(A_LONG_TIME) as waited:
            await connection.receive()
        assert waited.cancelled_caught
        connection.timeouts = only(first_message=2, lifetime=2, linger=0)
        with trio.move_on_after(A_LONG_TIME) as waited:
            await connection.receive()
        assert waited.cancelled_caught
