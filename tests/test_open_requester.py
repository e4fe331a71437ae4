"""What `open_requester` promises, over streams in memory and in virtual time."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import (
    Asked,
    Dial,
    Text,
    ask,
    first_word,
    is_news,
    receive,
)

Requester = trio_tcp.ReconnectingRequester[str, str]

NO_RETRIES = trio_tcp.RetryBudget(min_per_second=0, share=0)


@asynccontextmanager
async def asking(
    *failures: Exception,
    **options: Any,  # noqa: ANN401 - as of open_requester
) -> AsyncGenerator[tuple[Requester, Dial, trio.Nursery], None]:
    """Open a requester whose first attempts to connect fail like this."""
    dial = Dial()
    dial.failures.extend(failures)
    async with (
        dial.serving(),
        trio.open_nursery() as nursery,
        trio_tcp.open_requester(dial.connect, **options) as requester,
    ):
        yield requester, dial, nursery


def refused() -> OSError:
    return ConnectionRefusedError("nobody listens")


async def ask_repeatably(
    nursery: trio.Nursery, requester: Requester, *messages: str
) -> list[Asked]:
    asked = [Asked(requester, message) for message in messages]
    for each in asked:
        nursery.start_soon(each.run_repeatable)
        await wait_all_tasks_blocked()
    return asked


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


# When the connection is lost ----------------------------------------------------------


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


# Giving up ----------------------------------------------------------------------------


class WrongPassword(Exception):
    """What no attempt can mend."""


async def log_in(connection: Text) -> None:
    await connection.send("login")
    if await connection.receive() != "welcome":
        raise WrongPassword("no")


def is_wrong_password(error: Exception) -> bool:
    return isinstance(error, WrongPassword)


async def test_each_connection_is_prepared_before_any_request(
    autojump_clock: MockClock,
) -> None:
    async with asking(prepare=log_in) as (requester, dial, nursery):
        asked = await ask_repeatably(nursery, requester, "a")
        for _ in range(2):
            there = await dial.accept()
            assert await there.receive() == "login"
            await there.send("welcome")
            assert await there.receive() == "a"
            there.abort()
        there = await dial.accept()
        await there.send_many(["welcome", "A"])
        await wait_all_tasks_blocked()
        assert asked[0].reply == "A"


async def test_a_permanent_error_is_raised_by_all_requests_and_later_ones(
    autojump_clock: MockClock,
) -> None:
    async with asking(prepare=log_in, is_permanent=is_wrong_password) as (
        requester,
        dial,
        nursery,
    ):
        asked = await ask(nursery, requester, "a", "b")
        there = await dial.accept()
        await there.send("go away")
        await wait_all_tasks_blocked()
        errors = [each.error for each in asked]
        assert all(isinstance(error, WrongPassword) for error in errors)
        assert errors[0] is not errors[1]
        with pytest.raises(WrongPassword):
            await requester.request("c")
        with pytest.raises(trio.EndOfChannel):
            await requester.unsolicited.receive()
        assert dial.attempts == 1


async def test_attempts_may_have_a_limit(autojump_clock: MockClock) -> None:
    backoff = trio_tcp.Backoff(max_attempts=3)
    failures = [refused() for _ in range(3)]
    async with asking(*failures, backoff=backoff) as (requester, dial, _):
        with pytest.raises(ConnectionRefusedError):
            await requester.request("a")
        assert dial.attempts == 3


async def test_a_mistake_in_prepare_leaves_as_itself(autojump_clock: MockClock) -> None:
    async def mistaken(_: Text) -> None:
        raise LookupError("a mistake")

    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="a mistake"):
            async with trio_tcp.open_requester(dial.connect, prepare=mistaken):
                await trio.sleep_forever()


async def test_requests_raise_the_mistake_too(autojump_clock: MockClock) -> None:
    async def mistaken(_: Text) -> None:
        raise LookupError("a mistake")

    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="a mistake"):
            async with trio_tcp.open_requester(
                dial.connect, prepare=mistaken
            ) as requester:
                with trio.CancelScope(shield=True), pytest.raises(LookupError):
                    await requester.request("a")


# What is known ------------------------------------------------------------------------


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


# The end of the block -----------------------------------------------------------------


async def test_what_leaves_the_block_leaves_as_itself(
    autojump_clock: MockClock,
) -> None:
    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="mine"):
            async with trio_tcp.open_requester(dial.connect):
                await dial.accept()
                raise LookupError("mine")


async def test_the_connection_is_closed_in_order(autojump_clock: MockClock) -> None:
    dial = Dial()
    async with dial.serving(), trio.open_nursery() as nursery:
        async with trio_tcp.open_requester(dial.connect) as requester:
            (asked,) = await ask(nursery, requester, "a")
            there = await dial.accept()
            await there.send("A")
            await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert await there.receive() == "a"
        with pytest.raises(trio_tcp.PeerClosed):
            await there.receive()


async def test_the_end_of_the_block_leaves_no_task_waiting(
    autojump_clock: MockClock,
) -> None:
    dial = Dial()
    async with dial.serving(), trio.open_nursery() as nursery:
        async with trio_tcp.open_requester(dial.connect, max_in_flight=1) as requester:
            asked = await ask_repeatably(nursery, requester, "a")
            asked += await ask(nursery, requester, "b")
            there = await dial.accept()
        await wait_all_tasks_blocked()
        assert asked[0].lost.may_have_been_processed
        assert isinstance(asked[1].error, trio_tcp.ConnectionClosedError)
        with pytest.raises(trio.ClosedResourceError):
            await requester.request("c")
        with pytest.raises(trio_tcp.ConnectionBroken):  # its reply would go nowhere
            await there.receive()


async def test_the_end_of_the_block_does_not_wait_for_a_server_that_is_down(
    autojump_clock: MockClock,
) -> None:
    backoff = trio_tcp.Backoff(initial=30, jitter="none")
    async with asking(refused(), backoff=backoff) as (requester, _, nursery):
        (asked,) = await ask(nursery, requester, "a")
    assert isinstance(asked.error, trio_tcp.ConnectionClosedError)
    assert trio.current_time() == 0
