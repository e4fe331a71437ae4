"""`open_requester` with a connection or without: requests wait, its state is known."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.reconnecting import asking, refused
from tests.requester.requesting import ask, first_word, is_news, receive


async def test_replies_are_given_to_those_who_asked(autojump_clock: MockClock) -> None:
    async with asking(correlate=first_word) as (requester, dial, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        there = await dial.accept()
        assert await receive(there, 2) == ["1 a", "2 b"]
        await there.send_many(["2 B", "1 A"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["1 A", "2 B"]


async def test_requests_wait_for_a_connection(autojump_clock: MockClock) -> None:
    async with asking(refused(), refused()) as (requester, dial, nursery):
        (asked,) = await ask(nursery, requester, "a")
        there = await dial.accept()
        await there.send("A")
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert dial.attempts == 3


async def test_a_request_waits_no_longer_than_its_caller_lets_it(
    autojump_clock: MockClock,
) -> None:
    backoff = trio_tcp.Backoff(initial=10, jitter="none")
    async with asking(refused(), backoff=backoff) as (requester, dial, _):
        with trio.move_on_after(3):
            await requester.request("never")
        assert trio.current_time() == pytest.approx(3)
        there = await dial.accept()
        await wait_all_tasks_blocked()
        assert requester.statistics().in_flight == 0
        assert there.statistics().bytes_received == 0


async def test_its_state_can_be_waited_for(autojump_clock: MockClock) -> None:
    async with asking(refused()) as (requester, dial, _):
        waiting = await requester.wait_for(trio_tcp.Waiting)
        assert isinstance(waiting.error, ConnectionRefusedError)
        await requester.wait_for(trio_tcp.Ready)
        assert isinstance(requester.state, trio_tcp.Ready)
        (await dial.accept()).abort()
        await requester.wait_for(trio_tcp.Waiting)


async def test_delays_can_be_repeated(autojump_clock: MockClock) -> None:
    times: list[float] = []
    for _ in range(2):
        began = trio.current_time()
        failures = [refused() for _ in range(5)]
        async with asking(*failures, random=random.Random(7)) as (_, dial, _):
            await dial.accept()
            times.append(trio.current_time() - began)
    assert times[0] == pytest.approx(times[1])


async def test_news_of_all_connections_comes_through_one_channel(
    autojump_clock: MockClock,
) -> None:
    async with asking(is_unsolicited=is_news) as (requester, dial, _):
        for number in range(3):
            there = await dial.accept()
            await there.send(f"news {number}")
            assert await requester.unsolicited.receive() == f"news {number}"
            there.abort()
