"""What `open_requester_pool` promises, over streams in memory and in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import Dial, Text, first_word

Pool = trio_tcp.RequesterPool[str, str]

SLOW = trio_tcp.Backoff(initial=10, factor=1, jitter="none")


@asynccontextmanager
async def asking(
    *failures: Exception,
    **options: Any,  # noqa: ANN401 - as of open_requester_pool
) -> AsyncGenerator[tuple[Pool, Dial, trio.Nursery], None]:
    """Open a pool of requesters whose first attempts to connect fail like this."""
    dial = Dial()
    dial.failures.extend(failures)
    async with (
        dial.serving(),
        trio.open_nursery() as nursery,
        trio_tcp.open_requester_pool(dial.connect, **options) as pool,
    ):
        yield pool, dial, nursery


async def accept(dial: Dial, count: int) -> list[Text]:
    return [await dial.accept() for _ in range(count)]


async def ask(nursery: trio.Nursery, pool: Pool, count: int) -> Counter[str]:
    """Have so many requests sent, and return a place for what becomes of them."""
    outcomes = Counter[str]()

    async def request(number: int) -> None:
        try:
            reply = await pool.request(f"{number} please")
        except trio_tcp.ConnectionLost:
            outcomes["lost"] += 1
        else:
            assert reply == f"{number} here"
            outcomes["answered"] += 1

    for number in range(count):
        nursery.start_soon(request, number)
    await wait_all_tasks_blocked()
    return outcomes


async def answer(there: Text, count: int) -> None:
    for _ in range(count):
        request = await there.receive()
        await there.send(f"{first_word(request)} here")
    await wait_all_tasks_blocked()


def in_flight(pool: Pool) -> list[int]:
    return sorted(each.in_flight for each in pool.statistics())


async def test_requests_go_where_the_fewest_are_in_flight(
    autojump_clock: MockClock,
) -> None:
    async with asking(size=3) as (pool, dial, nursery):
        theirs = await accept(dial, 3)
        await wait_all_tasks_blocked()
        outcomes = await ask(nursery, pool, 7)
        assert in_flight(pool) == [2, 2, 3]
        await answer(theirs[0], 2)
        assert outcomes["answered"] == 2
        assert in_flight(pool)[0] <= 1
        await ask(nursery, pool, 4)
        assert in_flight(pool) == [3, 3, 3]
        nursery.cancel_scope.cancel()


async def test_one_after_the_other_goes_over_all_connections(
    autojump_clock: MockClock,
) -> None:
    async with asking(size=3) as (pool, dial, nursery):
        theirs = await accept(dial, 3)
        await wait_all_tasks_blocked()
        for there in theirs:
            nursery.start_soon(answer, there, 2)
        for number in range(6):
            assert await pool.request(f"{number} please") == f"{number} here"
        assert [each.replies for each in pool.statistics()] == [2, 2, 2]


async def test_a_connection_that_is_lost_is_passed_over_until_there_is_another(
    autojump_clock: MockClock,
) -> None:
    async with asking(size=2, backoff=SLOW) as (pool, dial, nursery):
        bad, good = await accept(dial, 2)
        await wait_all_tasks_blocked()
        first = await ask(nursery, pool, 4)
        bad.abort()
        await wait_all_tasks_blocked()
        assert first == {"lost": 2}
        assert in_flight(pool) == [0, 2]
        second = await ask(nursery, pool, 4)
        assert in_flight(pool) == [0, 6]
        await answer(good, 6)
        assert first == {"lost": 2, "answered": 2}
        assert second == {"answered": 4}
        again = await dial.accept()
        await wait_all_tasks_blocked()
        third = await ask(nursery, pool, 2)
        assert in_flight(pool) == [1, 1]
        await answer(again, 1)
        await answer(good, 1)
        assert third == {"answered": 2}


async def test_all_share_one_backoff(autojump_clock: MockClock) -> None:
    down = [ConnectionRefusedError("down") for _ in range(3)]
    async with asking(*down, size=5, backoff=SLOW) as (pool, dial, _):
        await trio.sleep(25)
        assert dial.attempts == 3
        assert isinstance(pool.state, trio_tcp.Waiting)
        await accept(dial, 5)
        assert trio.current_time() == pytest.approx(30)
        assert dial.attempts == 8


async def test_requests_wait_for_a_server_that_is_down(
    autojump_clock: MockClock,
) -> None:
    down = ConnectionRefusedError("down")
    async with asking(down, size=2, backoff=SLOW) as (pool, dial, nursery):
        outcomes = await ask(nursery, pool, 4)
        for there in await accept(dial, 2):
            await answer(there, 2)
        assert outcomes == {"answered": 4}


async def test_a_permanent_error_is_raised_to_all(autojump_clock: MockClock) -> None:
    error = PermissionError("wrong password")

    def is_permanent(error: Exception) -> bool:
        return isinstance(error, PermissionError)

    async with asking(error, size=3, is_permanent=is_permanent) as (pool, dial, _):
        for _ in range(4):
            with pytest.raises(PermissionError):
                await pool.request("1 please")
        assert dial.attempts == 1


async def test_what_may_be_repeated_is(autojump_clock: MockClock) -> None:
    async with asking(size=1) as (pool, dial, nursery):
        replies: list[str] = []

        async def request() -> None:
            replies.append(await pool.request_repeatable("1 please"))

        there = await dial.accept()
        nursery.start_soon(request)
        assert await there.receive() == "1 please"
        there.abort()
        await answer(await dial.accept(), 1)
        assert replies == ["1 here"]


async def test_what_is_not_asked_for_is_dropped_and_counted(
    autojump_clock: MockClock,
) -> None:
    async with asking(size=1, correlate=first_word) as (pool, dial, nursery):
        there = await dial.accept()
        await there.send("news")
        outcomes = await ask(nursery, pool, 1)
        await answer(there, 1)
        assert outcomes == {"answered": 1}
        assert [each.unsolicited_dropped for each in pool.statistics()] == [1]


async def test_what_the_block_raises_leaves_as_itself(
    autojump_clock: MockClock,
) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        dial = Dial()
        async with dial.serving():
            async with trio_tcp.open_requester_pool(dial.connect, size=3):
                await accept(dial, 3)
                raise error
    assert caught.value is error


async def test_after_the_block_there_are_no_requests(autojump_clock: MockClock) -> None:
    dial = Dial()
    async with dial.serving(), trio.open_nursery() as nursery:
        async with trio_tcp.open_requester_pool(dial.connect, size=2) as pool:
            for there in await accept(dial, 2):
                nursery.start_soon(there.wait_disconnected)
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await pool.request("1 please")


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
async def test_a_size_that_makes_no_sense_is_refused(size: float) -> None:
    with pytest.raises(ValueError, match="size"):
        async with trio_tcp.open_requester_pool(Dial().connect, size=size):  # type: ignore[arg-type] # so it says
            pass
