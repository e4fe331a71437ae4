"""A heartbeat, and a peer that lives: what counts as a sign of it."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.heartbeat.beating import (
    EVERY,
    LINES,
    PATIENT,
    WITHIN,
    answer_pings,
    beating,
    peers,
)
from trio_tcp import codecs, heartbeat, testing


async def test_a_peer_that_answers_is_asked_again_and_again(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):
        nursery.start_soon(answer_pings, there)
        with trio.move_on_after(100.5):
            await messages.receive()
        assert here.statistics().messages_sent == 10
        assert here.statistics().messages_received == 10
        nursery.cancel_scope.cancel()


async def test_answers_are_not_seen_by_the_receiver(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send_many(["one", "PONG", "two", "PONG", "PONG"])
        assert [await messages.receive(), await messages.receive()] == ["one", "two"]
        await there.send_eof()
        assert [message async for message in messages] == []


async def test_whoever_talks_is_not_asked(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        for number in range(20):
            await trio.sleep(EVERY - 1)
            await there.send(str(number))
            assert await messages.receive() == str(number)
        assert here.statistics().messages_sent == 0


async def test_any_message_is_a_sign_of_life(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        for _ in range(5):
            await trio.sleep(EVERY + WITHIN - 1)
            await there.send("no answer")
            assert await messages.receive() == "no answer"
        assert here.statistics().messages_sent == 5


async def test_bytes_of_an_unfinished_message_are_signs_of_life(
    autojump_clock: MockClock,
) -> None:
    near, far = testing.memory_stream_pair()
    async with trio_tcp.open_connection(near, codec=LINES, timeouts=PATIENT) as here:
        async with beating(here) as messages:
            for _ in range(30):
                await trio.sleep(WITHIN - 1)
                await far.send_all(b"x")
            await far.send_all(b"\n")
            assert await messages.receive() == "x" * 30
            await far.send_all(b"and")
            began = trio.current_time()
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await messages.receive()
            assert trio.current_time() == began + EVERY + WITHIN


async def test_a_bad_message_is_a_sign_of_life_and_the_next_one_follows(
    autojump_clock: MockClock,
) -> None:
    codec = codecs.Mapped(codecs.Lines(), decode=int, encode=str)
    near, far = testing.memory_stream_pair()
    async with (
        trio_tcp.open_connection(near, codec=codec, timeouts=PATIENT) as here,
        heartbeat(here, 0, (1).__eq__, every=EVERY, within=WITHIN) as messages,
    ):
        for _ in range(3):
            await trio.sleep(EVERY + 1)
            await far.send_all(b"nonsense\n7\n")
            with pytest.raises(trio_tcp.MalformedMessageError):
                await messages.receive()
            assert await messages.receive() == 7
        await far.aclose()


async def test_an_answer_that_is_here_counts_though_its_time_is_over(
    mock_clock: MockClock,
) -> None:
    """As after this process has been stopped, or has computed for long."""
    async with peers() as (here, there), beating(here):
        await wait_all_tasks_blocked()
        mock_clock.jump(EVERY)
        assert await there.receive() == "PING"
        await wait_all_tasks_blocked()
        there.send_nowait("PONG")
        mock_clock.jump(WITHIN)
        await wait_all_tasks_blocked()
        assert here.close_reason is None
        mock_clock.jump(EVERY)
        assert await there.receive() == "PING"


async def test_a_peer_that_takes_slowly_what_came_before_the_question_lives(
    autojump_clock: MockClock,
) -> None:
    near, far = testing.memory_stream_pair(1000)
    async with trio_tcp.open_connection(near, codec=LINES, timeouts=PATIENT) as here:
        async with beating(here) as messages:
            await here.send("x" * 1_000_000)
            for _ in range(49):
                await trio.sleep(1)
                rest = 20_000  # a stream tells only of every 64 KiB that they are taken
                while rest:
                    rest -= len(await far.receive_some(rest))
            assert here.close_reason is None
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await messages.receive()


async def test_the_idle_timeout_does_not_run_out_while_it_beats(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), trio.open_nursery() as nursery:
        here.timeouts = attrs.evolve(PATIENT, idle=EVERY + 1)
        nursery.start_soon(answer_pings, there)
        async with beating(here) as messages:
            with trio.move_on_after(100) as scope:
                await messages.receive()
            assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
