"""Each of several requests gets its own reply: in their order, or when it is ready."""

from __future__ import annotations

from collections import Counter

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.respond.working import (
    Late,
    Replies,
    Work,
    asking,
    in_either_order,
    replies_to,
    with_deadlines,
)
from trio_tcp import Concurrency, respond


async def test_replies_keep_the_order_of_the_requests(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=3))
    got = await replies_to(handler, ["slow 5", "quick 1", "quicker 0"])
    assert got == [("did slow", 5), ("did quick", 5), ("did quicker", 5)]


async def test_a_finished_request_gives_its_place_to_the_next_though_its_reply_waits(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2, queue=4))
    got = await replies_to(handler, ["slow 4", "a 1", "b 1", "c 1", "d 1", "e 1"])
    assert [at for _, at in got] == [4, 4, 4, 4, 4, 5]
    assert work.most == 2


async def test_replies_come_when_they_are_ready(autojump_clock: MockClock) -> None:
    policy = Concurrency(limit=3, replies="as_ready")
    got = await replies_to(
        respond(Work(), concurrency=policy), ["slow 5", "quick 1", "quicker 0"]
    )
    assert got == [("did quicker", 0), ("did quick", 1), ("did slow", 5)]


@in_either_order
async def test_what_gets_no_reply_holds_up_nobody(
    autojump_clock: MockClock, replies: Replies
) -> None:
    async def some(request: str) -> str | None:
        await trio.sleep(1)
        return None if request == "quiet" else request

    handler = respond(some, concurrency=Concurrency(limit=2, queue=9, replies=replies))
    got = await replies_to(handler, ["quiet", "a", "quiet", "quiet", "b", "quiet"])
    assert [reply for reply, _ in got] == ["a", "b"]


@given(
    works=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=25),
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=25, max_size=25),
    limit=st.integers(1, 4),
    queue=st.integers(0, 4),
    replies=st.sampled_from(["in_order", "as_ready"]),
    sheds=st.booleans(),
)
def test_every_request_gets_its_own_reply_once(
    *,
    works: list[tuple[int, int]],
    gaps: list[int],
    limit: int,
    queue: int,
    replies: Replies,
    sheds: bool,
) -> None:
    """Whatever the times, the deadlines and the limits; and in order if asked for."""
    work = Late()
    policy = Concurrency(limit=limit, queue=queue, replies=replies)
    handler = (
        with_deadlines(work, policy) if sheds else respond(work, concurrency=policy)
    )
    requests = [
        f"{n} {seconds}" + (f"@{deadline}" if sheds and deadline < 8 else "")
        for n, (seconds, deadline) in enumerate(works)
    ]

    async def main() -> None:
        async with asking(handler) as (client, _, _), trio.open_nursery() as nursery:

            async def ask() -> None:
                for request, gap in zip(requests, gaps, strict=False):
                    await trio.sleep(gap)
                    await client.send(request)
                await client.send_eof()

            nursery.start_soon(ask)
            got = [reply.split()[1] async for reply in client]
            asked = [request.split()[0] for request in requests]
            assert Counter(got) == Counter(asked)
            if replies == "in_order":
                assert got == asked
            assert work.most <= limit

    trio.run(main, clock=MockClock(autojump_threshold=0))
