"""`respond` waits for room, and holds up neither other tasks nor the end."""

from __future__ import annotations

from itertools import pairwise

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.respond.answering import (
    BIG,
    Flavour,
    Text,
    answers,
    big,
    plain_and_async,
    receive_all,
    serving,
)
from trio_tcp import CloseReason


@plain_and_async
async def test_a_client_that_does_not_read_is_not_answered_without_bound(
    flavour: Flavour,
) -> None:
    """The queue takes one reply over its mark; what comes then is not lost."""
    asked: list[str] = []

    def answer(request: str) -> str:
        asked.append(request)
        return request * 1000

    requests = [f"{number:04}" for number in range(500)]
    async with (
        serving(trio_tcp.respond(flavour(answer)), capacity=4096) as (served, _),
        trio.open_nursery() as nursery,
    ):
        client = await served.listener.connect()
        sent = "".join(f"{request}\n" for request in requests).encode()
        nursery.start_soon(client.send_all, sent)
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        assert 64 << 10 <= connection.statistics().bytes_queued < (64 << 10) + 4001
        assert len(asked) < 30
        received = b""
        while len(received) < 500 * 4001:
            received += await client.receive_some()
        assert received.decode().split() == [request * 1000 for request in requests]


@plain_and_async
async def test_a_request_after_a_reply_that_has_filled_the_queue_is_answered(
    flavour: Flavour,
) -> None:
    handler = trio_tcp.respond(flavour(big))
    async with serving(handler, capacity=4096) as (served, _):
        client = await served.listener.connect()
        for _ in range(3):
            await client.send_all(b"more\n")
            await wait_all_tasks_blocked()
        await client.send_eof()
        assert await receive_all(client) == (BIG + "\n").encode() * 3


@plain_and_async
async def test_a_close_is_not_held_up_by_a_client_that_writes_before_it_reads(
    flavour: Flavour,
) -> None:
    """While the replies wait for room, what the client still writes is read."""
    handler = trio_tcp.respond(flavour(big))
    async with serving(handler) as (served, _), trio.open_nursery() as nursery:
        client = await served.listener.connect()

        async def write_then_read() -> None:
            await client.send_all(b"more\n" * 100_000)
            await client.send_eof()
            assert (await receive_all(client)).startswith(BIG.encode())

        nursery.start_soon(write_then_read)
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        with trio.fail_after(4):  # the linger is 5 seconds
            await connection.aclose()


@plain_and_async
async def test_a_reply_behind_much_that_a_function_sends_waits_for_room(
    flavour: Flavour,
) -> None:
    def much(request: str, connection: Text) -> str:
        connection.send_nowait(BIG)
        return request

    received, ended = await answers(trio_tcp.respond(flavour(much)), b"1\n2\n3\n")
    expected = "".join(f"{BIG}\n{number}\n" for number in (1, 2, 3))
    assert received == expected.encode()
    assert ended.statistics.messages_sent == 6


@plain_and_async
async def test_requests_without_end_take_turns_with_other_tasks(
    flavour: Flavour,
) -> None:
    """No more than 64 are answered in a pass of the scheduler.

    The order of a pass is random: a task may be the first in one and the last in the
    next, and so see two turns of another between its own.
    """
    answered, turns = 0, [0]

    def count(request: str) -> str:
        nonlocal answered
        answered += 1
        return request

    async def take_turns() -> None:
        while True:
            turns.append(answered)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await answers(trio_tcp.respond(flavour(count)), b"x\n" * 5000)
        nursery.cancel_scope.cancel()
    steps = [after - before for before, after in pairwise(turns)]
    assert answered == 5000
    assert max(steps) <= 2 * 64


async def test_a_connection_that_holds_too_much_is_ended() -> None:
    handler = trio_tcp.respond(big)
    limits = trio_tcp.Limits(max_buffered_bytes=50_000)
    async with serving(handler, capacity=4096, limits=limits) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 10)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert ended.statistics.messages_sent <= 1
        assert record.all(trio_tcp.HandlerFailed) == []
        await client.aclose()
