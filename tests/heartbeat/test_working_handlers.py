"""A heartbeat goes on while the handler works: it asks, answers, and reads ahead."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.heartbeat.beating import (
    EVERY,
    WITHIN,
    answer_pings,
    beating,
    peers,
    pong_to_ping,
)
from trio_tcp import CloseReason

AHEAD = 16


async def test_a_peer_that_answers_lives_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):
        nursery.start_soon(answer_pings, there)
        await there.send("work")
        assert await messages.receive() == "work"
        await trio.sleep(1000)
        assert here.close_reason is None
        await there.send("more")
        assert await messages.receive() == "more"
        nursery.cancel_scope.cancel()


async def test_a_peer_that_dies_is_noticed_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("work")
        assert await messages.receive() == "work"
        await trio.sleep(EVERY + WITHIN + 1)
        assert here.close_reason is CloseReason.TIMED_OUT


async def test_the_clock_stands_still_while_more_waits_than_is_read_ahead(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send_many(str(number) for number in range(AHEAD + 2))
        await trio.sleep(1000)
        assert here.statistics().messages_sent == 0
        for number in range(AHEAD + 2):
            assert await messages.receive() == str(number)
        began = trio.current_time()
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await messages.receive()
        assert trio.current_time() == began + EVERY + WITHIN


@pytest.mark.parametrize("size", [1, 100, 10_000, 50_000, 200_000])
async def test_no_more_is_read_ahead_than_is_promised(
    autojump_clock: MockClock, size: int
) -> None:
    """16 messages and 64 KiB: one more of each, as both have to be exceeded to show."""
    async with peers() as (here, there), trio.open_nursery() as nursery:

        async def pour() -> None:
            with suppress(trio_tcp.ConnectionFault):
                while True:
                    await there.send("x" * size)

        async with beating(here):
            nursery.start_soon(pour)
            await trio.sleep(EVERY)
            statistics = here.statistics()
            assert 1 <= statistics.messages_received <= AHEAD
            most = (64 << 10) + (64 << 10) + size + 1
            assert statistics.bytes_received <= most
            there.abort()


async def test_what_a_slow_handler_has_not_received_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    sent = [str(number) for number in range(300)]
    async with peers() as (here, there), trio.open_nursery() as nursery:

        async def pour() -> None:
            for message in sent:
                await there.send(message)
            await there.send_eof()

        nursery.start_soon(pour)
        received: list[str] = []
        async with beating(here) as messages:
            async for message in messages:
                received.append(message)
                await trio.sleep(1)
        assert received == sent


# Peers that ask, too ------------------------------------------------------------------


async def test_a_peers_question_is_answered_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        beating(here, reply=pong_to_ping) as ours,
        beating(there, reply=pong_to_ping) as theirs,
    ):
        await trio.sleep(1000)
        assert here.close_reason is there.close_reason is None
        await here.send("at last")
        await there.send("indeed")
        assert (await ours.receive(), await theirs.receive()) == ("indeed", "at last")


async def test_without_a_reply_a_peers_question_is_a_message(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("PING")
        assert await messages.receive() == "PING"


async def test_a_peer_that_asks_but_does_not_read_does_not_stop_the_listener(
    autojump_clock: MockClock,
) -> None:
    """One answer waits for room; what it says behind its questions is heard."""
    async with (
        peers(capacity=1000) as (here, there),
        beating(here, reply=pong_to_ping) as messages,
    ):
        await here.send("x" * 99_999)
        await there.send_many(["PING"] * 50)
        await there.send("hello")
        assert await messages.receive() == "hello"
        assert await there.receive() == "x" * 99_999
        assert await there.receive() == "PONG"
        await here.send("goodbye")
        assert await there.receive() == "goodbye"
        await there.send("PING")
        assert await there.receive() == "PONG"
