"""What becomes of several requests in hand when the connection or the server ends."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.respond.working import (
    A_LONG_TIME,
    LINES,
    Replies,
    Text,
    Work,
    asking,
    in_either_order,
    replies_to,
)
from trio_tcp import CloseReason, Concurrency, respond, testing


@in_either_order
async def test_a_reset_cancels_what_is_under_way(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    policy = Concurrency(limit=5, replies=replies)
    async with asking(respond(work, concurrency=policy)) as (client, _, record):
        await client.send_many([f"a {A_LONG_TIME}", f"b {A_LONG_TIME}"])
        await trio.sleep(1)
        client.abort()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.BROKEN
        assert len(work.cancelled) == 2
        assert trio.current_time() == 1
        assert not record.all(trio_tcp.HandlerFailed)


async def test_a_broken_connection_is_one_error_though_many_hear_of_it(
    autojump_clock: MockClock,
) -> None:
    """The reader and all who wait to send: for a handler around it, it is one."""

    async def much(_request: str) -> str:
        await trio.lowlevel.checkpoint()
        return "x" * 200_000

    handler = respond(much, concurrency=Concurrency(limit=9, replies="as_ready"))
    caught: list[BaseException] = []

    async def around(connection: Text) -> None:
        try:
            await handler(connection)
        except BaseException as error:
            caught.append(error)
            raise

    async with asking(around) as (client, _, record):
        await client.send_many(["a", "b", "c", "d"])
        await wait_all_tasks_blocked()
        client.abort()
        await record.wait(trio_tcp.ConnectionEnded)
    assert [type(error) for error in caught] == [trio_tcp.ConnectionBroken]


@in_either_order
async def test_at_the_peers_end_what_is_in_hand_is_finished(
    autojump_clock: MockClock, replies: Replies
) -> None:
    policy = Concurrency(limit=1, queue=2, replies=replies)
    got = await replies_to(respond(Work(), concurrency=policy), ["a 9", "b 9", "c 9"])
    assert got == [("did a", 9), ("did b", 18), ("did c", 27)]


@in_either_order
async def test_a_drain_lets_what_is_in_hand_finish_and_lets_nothing_new_begin(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    policy = Concurrency(limit=1, queue=9, replies=replies)
    async with asking(respond(work, concurrency=policy)) as (client, served, _):
        await client.send_many(["a 9", "b 9"])
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            reports: list[trio_tcp.DrainReport] = []

            async def drain() -> None:
                reports.append(await served.server.drain(grace=100))

            nursery.start_soon(drain)
            await wait_all_tasks_blocked()
            await client.send("too late 0")
            assert [reply async for reply in client] == ["did a", "did b"]
            assert trio.current_time() == 18
            await client.aclose()
        assert [report.finished for report in reports] == [1]
        assert work.begun == ["a 9", "b 9"]


async def test_a_connection_with_nothing_in_hand_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=2))
    async with testing.serve_in_memory(handler, LINES) as served:
        async with served.connect() as client:
            await client.send("a 1")
            assert await client.receive() == "did a"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(served.server.drain)
                with pytest.raises(trio_tcp.PeerClosed):
                    await client.receive()
                await client.aclose()
            assert trio.current_time() == 1
