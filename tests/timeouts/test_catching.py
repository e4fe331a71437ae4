"""A timeout that a handler catches: it may say goodbye, and gets no more time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.timeouts.timing_out import (
    Case,
    Text,
    each_about_receiving,
    end_of,
    late,
    only,
    receive_all,
    serve,
    the_end,
)
from trio_tcp import CloseReason, PeerTooSlowError


@each_about_receiving
async def test_a_handler_that_catches_it_can_say_goodbye_and_return(
    case: Case, autojump_clock: MockClock
) -> None:
    async def polite(connection: Text) -> None:
        with pytest.raises(PeerTooSlowError) as caught:
            await receive_all(connection)
        error = caught.value
        assert error.timeout == case.timeout
        assert isinstance(error, trio.TooSlowError)
        assert connection.close_reason is CloseReason.TIMED_OUT
        assert connection.close_error is error
        # There is nothing more to be had, and no more time for it.
        with pytest.raises(PeerTooSlowError, match=rf"timeouts\.{case.timeout}"):
            await connection.receive()
        assert trio.current_time() == 10 + case.extra
        await connection.send(f"goodbye: {error.timeout}")

    async with serve(polite, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        assert await client.receive_some() == f"goodbye: {case.timeout}\n".encode()
        assert await end_of(client) == "FIN"
        assert trio.current_time() == 10 + case.extra
        await client.aclose()
        ended = await the_end(record)
        assert ended.reason is CloseReason.TIMED_OUT
        assert late(ended.error).timeout == case.timeout


async def test_at_the_end_of_its_life_a_connection_may_still_say_goodbye(
    autojump_clock: MockClock,
) -> None:
    async def polite(connection: Text) -> None:
        try:
            await receive_all(connection)
        finally:
            with trio.CancelScope(shield=True):
                assert connection.close_reason is CloseReason.TIMED_OUT
                await trio.sleep(3)
                await connection.send("goodbye")
                await connection.flush()

    async with serve(polite, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        assert await client.receive_some() == b"goodbye\n"
        assert trio.current_time() == 13
        assert await end_of(client) == "FIN"
        ended = await the_end(record)
        assert trio.current_time() == 13
        assert ended.reason is CloseReason.TIMED_OUT


@each_about_receiving
async def test_who_goes_on_after_another_timeout_has_no_longer_life(
    case: Case, autojump_clock: MockClock
) -> None:
    async def go_on(connection: Text) -> None:
        with pytest.raises(PeerTooSlowError):
            await receive_all(connection)
        await trio.sleep_forever()

    timeouts = only(**{case.timeout: 10}, lifetime=50)
    async with serve(go_on, timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == 50
        assert late(ended.error).timeout == case.timeout  # the first cause counts
