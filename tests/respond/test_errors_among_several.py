"""An error of one among several requests: a reply in its turn, or the end of all."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.respond.working import (
    A_LONG_TIME,
    Replies,
    Work,
    apologise,
    asking,
    busy,
    in_either_order,
    replies_to,
)
from trio_tcp import Concurrency, codecs, respond, testing


async def fail(request: str) -> str:
    await trio.sleep(1)
    if request == "bad":
        raise ZeroDivisionError
    return "a\nb" if request == "unsendable" else request


@in_either_order
async def test_errors_are_replied_to_in_their_turn(
    autojump_clock: MockClock, replies: Replies
) -> None:
    policy = Concurrency(limit=1, queue=3, replies=replies)
    handler = respond(fail, concurrency=policy, on_error=apologise)
    got = await replies_to(handler, ["a", "bad", "unsendable", "b"])
    assert [reply for reply, _ in got] == [
        "a",
        "ZeroDivisionError: bad",
        "EncodeError: unsendable",
        "b",
    ]


async def test_a_request_that_makes_no_sense_is_replied_to_in_its_turn(
    autojump_clock: MockClock,
) -> None:
    codec = codecs.Mapped(codecs.Lines(), decode=int, encode=str)

    async def double(request: int) -> int:
        await trio.sleep(request)
        return 2 * request

    def minus_one(_error: Exception, _request: int | None) -> int:
        return -1

    near, far = testing.memory_stream_pair()
    handler = respond(double, concurrency=Concurrency(limit=2), on_error=minus_one)
    async with trio.open_nursery() as nursery:
        serve = trio_tcp.framed(handler, codec=codec)
        nursery.start_soon(serve, near)
        await far.send_all(b"7\nnonsense\n3\n")
        await far.send_eof()
        assert b"".join([chunk async for chunk in far]) == b"14\n-1\n6\n"
        await far.aclose()


@in_either_order
async def test_an_error_that_is_not_replied_to_ends_this_connection_and_all_of_it(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()

    async def work_or_fail(request: str) -> str | None:
        return await (fail(request) if request == "bad" else work(request))

    policy = Concurrency(limit=3, replies=replies)
    async with asking(respond(work_or_fail, concurrency=policy)) as (client, _, record):
        await client.send_many([f"a {A_LONG_TIME}", "bad", f"b {A_LONG_TIME}"])
        with pytest.raises(trio_tcp.ConnectionBroken):
            await client.receive()
        (failed,) = record.all(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, ZeroDivisionError)
        assert len(work.cancelled) == 2
        assert trio.current_time() == 1


@pytest.mark.parametrize("which", ["shed", "deadline"])
async def test_what_shed_and_deadline_raise_is_replied_to_as_well(
    autojump_clock: MockClock, which: str
) -> None:
    def bad(_request: str) -> float:
        raise ZeroDivisionError

    handler = respond(
        Work(),
        concurrency=Concurrency(limit=1),
        on_error=apologise,
        shed=(lambda r: str(bad(r))) if which == "shed" else busy,
        deadline=bad if which == "deadline" else None,
    )
    got = await replies_to(handler, ["a 1", "b 1"])
    expected = "did a" if which == "shed" else "ZeroDivisionError: a 1"
    assert [reply for reply, _ in got] == [expected, "ZeroDivisionError: b 1"]
