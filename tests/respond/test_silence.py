"""Whose silence it is while several requests are in hand: the timeouts of the peer."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.respond.working import LINES, Handler, Text, Work, asking
from trio_tcp import CloseReason, Concurrency, respond, testing


async def test_silence_while_this_side_works_is_not_the_peers(
    autojump_clock: MockClock,
) -> None:
    """The idle timeout runs again when there is nothing left to answer."""
    handler = respond(Work(), concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(handler, timeouts=timeouts) as (client, _, record):
        await client.send("a 95")
        assert await client.receive() == "did a"
        assert trio.current_time() == 95
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 105
        assert ended.reason is CloseReason.TIMED_OUT


async def test_no_reply_at_all_begins_the_peers_silence_too(
    autojump_clock: MockClock,
) -> None:
    async def quiet(request: str) -> None:
        await trio.sleep(float(request))

    handler: Handler = respond(quiet, concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(handler, timeouts=timeouts) as (client, _, record):
        await client.send("25")
        await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 35


async def test_the_idle_timeout_runs_again_after_what_was_in_hand_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    answer = respond(Work(), concurrency=Concurrency(limit=2))

    async def for_a_while(connection: Text) -> None:
        with trio.move_on_after(5):
            await answer(connection)
        await connection.receive()

    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(for_a_while, timeouts=timeouts) as (client, _, record):
        await client.send("a 100")
        await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 15


async def test_an_unfinished_request_is_the_peers_even_while_this_side_works(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(message=20)
    async with testing.serve_in_memory(handler, LINES, timeouts=timeouts) as served:
        stream = await served.listener.connect()
        await stream.send_all(b"a 500\nb")
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()
        assert trio.current_time() == pytest.approx(20, abs=0.1)
        assert work.cancelled == ["a 500"]
