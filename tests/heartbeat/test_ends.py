"""A heartbeat, and ends: of a connection, of its block, of a call, of a server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.heartbeat.beating import EVERY, LINES, Text, answer_pings, beating, peers
from trio_tcp import CloseReason, testing


async def test_the_peers_end_is_the_end_of_the_iteration_and_of_asking(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("last words")
        await there.send_eof()
        assert [message async for message in messages] == ["last words"]
        with pytest.raises(trio_tcp.PeerClosed):
            await messages.receive()
        await trio.sleep(1000)
        await here.send("still listening?")
        assert await there.receive() == "still listening?"
        assert here.close_reason is CloseReason.PEER_CLOSED


async def test_after_our_end_nobody_is_asked_and_the_peer_may_take_its_time(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await here.send_eof()
        await trio.sleep(1000)
        await there.send("the answer")
        assert await messages.receive() == "the answer"


async def test_a_reset_is_raised_as_the_connection_would(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        there.abort()
        with pytest.raises(trio_tcp.ConnectionBroken) as caught:
            await messages.receive()
        assert isinstance(caught.value.__cause__, trio.BrokenResourceError)


async def test_closing_on_this_side_is_raised_as_the_connection_would(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        beating(here) as messages,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(answer_pings, there)
        nursery.start_soon(messages.aclose)
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await messages.receive()


async def test_what_was_read_ahead_can_be_received_after_the_block(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there):
        async with beating(here) as messages:
            await there.send_many(["one", "two", "three"])
            assert await messages.receive() == "one"
        assert [await messages.receive(), await messages.receive()] == ["two", "three"]
        with pytest.raises(trio.ClosedResourceError):
            await messages.receive()
        await there.send("four")
        assert await here.receive() == "four"


async def test_a_cancelled_receive_loses_nothing(autojump_clock: MockClock) -> None:
    sent = [str(number) for number in range(50)]
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):

        async def talk() -> None:
            for message in sent:
                await trio.sleep(0.3)
                await there.send(message)
            await there.send_eof()

        nursery.start_soon(talk)
        received: list[str] = []
        with suppress(trio.EndOfChannel):
            while True:
                with trio.move_on_after(0.1):
                    received.append(await messages.receive())
        assert received == sent


async def test_two_receivers_are_one_too_many(autojump_clock: MockClock) -> None:
    async with (
        peers() as (here, _),
        beating(here) as messages,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(messages.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await messages.receive()
        with pytest.raises(trio.BusyResourceError):
            await here.receive()
        nursery.cancel_scope.cancel()


# A drain ------------------------------------------------------------------------------


@asynccontextmanager
async def served_by(
    work: float,
) -> AsyncGenerator[testing.MemoryServer[str], None]:
    """Serve with a handler that works so long for each message."""

    async def handler(connection: Text) -> None:
        async with beating(connection) as messages:
            async for message in messages:
                await trio.sleep(work)
                await connection.send(message.upper())

    async with testing.serve_in_memory(handler, LINES) as served:
        yield served


async def test_a_connection_that_only_beats_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    async with served_by(0) as served, served.connect() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, client)
            await trio.sleep(3.5 * EVERY)
            report = await served.server.drain()
        assert report.finished == 1
        assert report.seconds == 0


async def test_a_handler_at_work_finishes_what_has_come_while_a_drain_waits(
    autojump_clock: MockClock,
) -> None:
    """Also what comes after the drain has begun, as without a heartbeat."""
    async with served_by(20) as served, served.connect() as client:
        others: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, client, others)
            await client.send_many(["one", "two"])
            await trio.sleep(1)
            nursery.start_soon(served.server.drain, 100)
            await trio.sleep(1)
            await client.send("three")
        assert others == ["ONE", "TWO", "THREE"]
        assert trio.current_time() == pytest.approx(60)
