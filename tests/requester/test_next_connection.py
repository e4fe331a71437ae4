"""`open_requester` when a connection is lost: what goes out over the next, and when."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.reconnecting import ask_repeatably, asking
from tests.requester.requesting import ask, receive

NO_RETRIES = trio_tcp.RetryBudget(min_per_second=0, share=0)


async def test_a_request_that_was_sent_fails_and_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with asking() as (requester, dial, nursery):
        (first,) = await ask(nursery, requester, "a")
        there = await dial.accept()
        there.abort()
        await wait_all_tasks_blocked()
        assert first.lost.may_have_been_processed
        assert isinstance(first.lost.__cause__, trio_tcp.ConnectionBroken)
        (second,) = await ask(nursery, requester, "b")
        there = await dial.accept()
        assert await there.receive() == "b"
        await there.send("B")
        await wait_all_tasks_blocked()
        assert second.reply == "B"


async def test_a_request_that_was_not_sent_goes_out_over_the_next(
    autojump_clock: MockClock,
) -> None:
    async with asking(max_in_flight=1, retry_budget=NO_RETRIES) as (
        requester,
        dial,
        nursery,
    ):
        asked = await ask(nursery, requester, "a", "b")
        (await dial.accept()).abort()
        there = await dial.accept()
        assert await there.receive() == "b"
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked[0].lost.may_have_been_processed
        assert asked[1].reply == "B"
        assert requester.statistics().retries == 0


async def test_repeatable_requests_are_sent_again_before_all_others(
    autojump_clock: MockClock,
) -> None:
    async with asking(max_in_flight=3) as (requester, dial, nursery):
        repeatable = await ask_repeatably(nursery, requester, "a", "b")
        others = await ask(nursery, requester, "c", "d")
        there = await dial.accept()
        assert await receive(there, 3) == ["a", "b", "c"]
        there.abort()
        there = await dial.accept()
        assert await receive(there, 3) == ["a", "b", "d"]
        await there.send_many(["A", "B", "D"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in repeatable] == ["A", "B"]
        assert others[0].lost.may_have_been_processed
        assert others[1].reply == "D"
        assert requester.statistics().retries == 2


async def test_a_request_that_was_cancelled_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with asking() as (requester, dial, nursery):
        asked = await ask_repeatably(nursery, requester, "a", "b")
        there = await dial.accept()
        asked[0].scope.cancel()
        await wait_all_tasks_blocked()
        there.abort()
        there = await dial.accept()
        assert await there.receive() == "b"
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked[1].reply == "B"


async def test_a_request_that_is_to_be_sent_again_can_be_cancelled(
    autojump_clock: MockClock,
) -> None:
    async with asking() as (requester, dial, nursery):
        asked = await ask_repeatably(nursery, requester, "a", "b")
        (await dial.accept()).abort()
        await wait_all_tasks_blocked()
        assert requester.statistics().waiting == 2
        asked[0].scope.cancel()
        there = await dial.accept()
        assert await there.receive() == "b"
        await there.send("B")


async def test_what_the_budget_does_not_allow_fails(autojump_clock: MockClock) -> None:
    budget = trio_tcp.RetryBudget(min_per_second=0, share=0.5)
    async with asking(retry_budget=budget) as (requester, dial, nursery):
        asked = await ask_repeatably(nursery, requester, *"abcd")
        (await dial.accept()).abort()
        there = await dial.accept()
        assert await receive(there, 2) == ["a", "b"]
        await wait_all_tasks_blocked()
        assert [each.is_done for each in asked] == [False, False, True, True]
        assert asked[2].lost.may_have_been_processed
        there.abort()
        await wait_all_tasks_blocked()
        assert all(each.lost.may_have_been_processed for each in asked)


async def test_one_connection_is_closed_before_the_next_is_opened(
    autojump_clock: MockClock,
) -> None:
    backoff = trio_tcp.Backoff(initial=0.001, maximum=0.001)
    async with asking(reply_timeout=5, backoff=backoff) as (requester, dial, nursery):
        (asked,) = await ask_repeatably(nursery, requester, "a")
        for _ in range(3):
            there = await dial.accept()
            assert await there.receive() == "a"  # and never answered
        there = await dial.accept()
        await there.send("A")
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert dial.most_open == 1


async def test_a_server_that_closes_in_order_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    async with asking() as (requester, dial, nursery):
        there = await dial.accept()
        await there.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):  # and not broken
            await there.receive()
        (asked,) = await ask(nursery, requester, "a")
        there = await dial.accept()
        await there.send("A")
        await wait_all_tasks_blocked()
        assert asked.reply == "A"


async def test_a_long_goodbye_does_not_hold_up_the_next_connection(
    autojump_clock: MockClock,
) -> None:
    async with asking() as (requester, dial, nursery):
        there = await dial.accept()
        asked = await ask(nursery, requester, "x" * 500_000)  # more than is ever read
        began = trio.current_time()
        await there.send_eof()
        await dial.accept()
        assert trio.current_time() - began <= trio_tcp.Backoff().initial
        assert asked[0].lost.may_have_been_processed
