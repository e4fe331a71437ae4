"""What is shed: requests that exceed the queue, and those whose deadline passes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.respond.working import (
    A_LONG_TIME,
    Late,
    Replies,
    Work,
    asking,
    busy,
    in_either_order,
    replies_to,
    with_deadlines,
)
from trio_tcp import Concurrency, respond


async def test_what_exceeds_the_queue_is_shed_at_once(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1, queue=1, replies="as_ready")
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=busy), ["a 3", "b 3", "c 3", "d 3"]
    )
    assert sorted(got[:2]) == [("busy: c", 0), ("busy: d", 0)]
    assert got[2:] == [("did a", 3), ("did b", 6)]


async def test_what_is_shed_waits_for_its_turn_where_there_is_an_order(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1, queue=1)
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=busy), ["a 3", "b 3", "c 3", "d 3"]
    )
    assert got == [("did a", 3), ("did b", 6), ("busy: c", 6), ("busy: d", 6)]


async def test_there_is_room_again_when_something_is_done(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=1), shed=busy)
    async with asking(handler) as (client, _, _):
        await client.send_many(["a 1", "b 1"])
        assert [await client.receive(), await client.receive()] == ["did a", "busy: b"]
        await client.send("c 1")
        assert await client.receive() == "did c"


async def test_replies_that_are_shed_and_wait_for_their_turn_are_bounded(
    autojump_clock: MockClock,
) -> None:
    """As many as may be in hand otherwise; then no more is read."""
    handler = respond(Work(), concurrency=Concurrency(limit=2, queue=3), shed=busy)
    async with asking(handler) as (client, served, _):
        await client.send_many(f"{n} {A_LONG_TIME}" for n in range(1000))
        await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 2 * (2 + 3)


async def test_a_request_may_be_shed_without_a_reply(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1)
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=lambda _: None), ["a 1", "b 1"]
    )
    assert got == [("did a", 1)]


# Deadlines ----------------------------------------------------------------------------


@in_either_order
async def test_a_request_is_cancelled_when_its_deadline_passes(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Late()
    policy = Concurrency(limit=3, replies=replies)
    got = await replies_to(with_deadlines(work, policy), ["a 5@2", "b 5@9", "c 6"])
    assert got == [("busy: a", 2), ("did b", 5), ("did c", 6)]
    assert work.cancelled == ["a 5"]


@in_either_order
async def test_a_request_whose_deadline_passes_while_it_waits_is_never_begun(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Late()
    policy = Concurrency(limit=1, queue=2, replies=replies)
    got = await replies_to(with_deadlines(work, policy), ["a 5", "b 1@3", "c 1"])
    shed_at = 5 if replies == "in_order" else 3
    expected = [("did a", 5.0), ("busy: b", shed_at), ("did c", 6)]
    assert sorted(got) == sorted(expected)
    assert work.begun == ["a 5", "c 1"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
async def test_a_request_that_comes_too_late_is_never_begun(
    autojump_clock: MockClock, seconds: str
) -> None:
    work = Late()
    handler = with_deadlines(work, Concurrency(limit=2))
    assert await replies_to(handler, [f"a 1@{seconds}"]) == [("busy: a", 0)]
    assert work.begun == []


async def test_the_deadline_counts_from_when_the_request_is_read(
    autojump_clock: MockClock,
) -> None:
    handler = with_deadlines(Late(), Concurrency(limit=1, queue=1))
    async with asking(handler) as (client, _, _):
        for _ in range(3):
            await trio.sleep(7)
            await client.send("a 5@6")
            assert await client.receive() == "did a"


async def test_a_place_in_the_queue_is_free_again_when_a_deadline_passes_there(
    autojump_clock: MockClock,
) -> None:
    work = Late()
    policy = Concurrency(limit=1, queue=1, replies="as_ready")
    async with asking(with_deadlines(work, policy)) as (client, _, _):
        await client.send_many(["a 9", "b 1@2"])
        assert await client.receive() == "busy: b"
        await client.send("c 1")
        assert [await client.receive(), await client.receive()] == ["did a", "did c"]
