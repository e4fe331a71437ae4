"""How many requests of one connection are under way at once, and in hand."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.respond.working import (
    A_LONG_TIME,
    Replies,
    Work,
    asking,
    in_either_order,
    replies_to,
)
from trio_tcp import Concurrency, respond


@in_either_order
async def test_as_many_are_under_way_as_allowed(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=3, queue=5, replies=replies))
    got = await replies_to(handler, [f"{n} 1" for n in range(9)])
    assert sorted(reply for reply, _ in got) == [f"did {n}" for n in range(9)]
    assert [at for _, at in got] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert work.most == 3


@in_either_order
async def test_requests_are_begun_in_their_order(
    autojump_clock: MockClock, replies: Replies
) -> None:
    """Trio starts tasks in any order; with one at a time, requests are not."""
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=1, queue=20, replies=replies))
    requests = [f"{n} 0.{n % 3}" for n in range(50)]
    await replies_to(handler, requests)
    assert work.begun == requests
    assert work.most == 1


async def test_one_connections_requests_do_not_count_for_another(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2))
    async with asking(handler) as (client, served, _):
        async with served.connect() as other:
            await client.send_many(["a 5", "b 5", "c 5"])
            await other.send_many(["d 5", "e 5", "f 5"])
            await trio.sleep(1)
            assert sorted(work.begun) == ["a 5", "b 5", "d 5", "e 5"]
            other.abort()


@pytest.mark.parametrize("queue", [0, 1, 7])
@in_either_order
async def test_no_more_is_read_than_may_be_in_hand(
    autojump_clock: MockClock, replies: Replies, queue: int
) -> None:
    """Without `shed`; the rest stays with the client, however much it sends."""
    work = Work()
    several = Concurrency(limit=2, queue=queue, replies=replies)
    handler = respond(work, concurrency=several)
    async with asking(handler) as (client, served, _):
        await client.send_many(f"{n} {A_LONG_TIME}" for n in range(100))
        await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 2 + queue
        assert len(work.begun) == 2


@in_either_order
async def test_a_client_that_does_not_read_has_no_more_than_that_in_hand(
    autojump_clock: MockClock, replies: Replies
) -> None:
    """Its replies wait for room, and count until they have it."""
    called = 0

    async def much(_request: str) -> str:
        nonlocal called
        called += 1
        await trio.lowlevel.checkpoint()
        return "x" * 200_000

    handler = respond(much, concurrency=Concurrency(limit=2, queue=3, replies=replies))
    async with asking(handler) as (client, _, _):
        await client.send_many(str(n) for n in range(100))
        await trio.sleep(1)
        assert called <= 1 + 2 + 3
        for _ in range(100):
            await client.receive()
        assert called == 100


async def test_one_who_has_sent_much_does_not_keep_others_waiting(
    autojump_clock: MockClock,
) -> None:
    answered = 0

    async def count(request: str) -> str:
        nonlocal answered
        answered += 1
        await trio.lowlevel.checkpoint()
        return request

    policy = Concurrency(limit=100, queue=100, replies="as_ready")
    async with asking(respond(count, concurrency=policy)) as (client, served, _):
        async with served.connect() as other:
            await wait_all_tasks_blocked()
            await client.send_many("x" for _ in range(10_000))
            await other.send("hello")
            assert await other.receive() == "hello"
            assert answered < 2_000
