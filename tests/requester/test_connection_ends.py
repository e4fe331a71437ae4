"""The end of a connection, and what it means to the requests on it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, Asked, Text, ask, asking
from trio_tcp import CloseReason, testing


async def test_when_the_connection_breaks_all_who_wait_get_an_error_of_their_own() -> (
    None
):
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here, max_in_flight=2) as requester,
        ):
            asked = await ask(nursery, requester, "a", "b", "c")
            there.abort()
            await wait_all_tasks_blocked()
            errors = [each.lost for each in asked]
            assert len({id(error) for error in errors}) == 3
            assert [e.may_have_been_processed for e in errors] == [True, True, False]
            for error in errors:
                assert error.connection_id == here.id
                assert isinstance(error.__cause__, trio_tcp.ConnectionBroken)
            assert "was sent, and may have been processed" in str(errors[0])
            assert "was not sent" in str(errors[2])
            with pytest.raises(trio_tcp.ConnectionLost) as later:
                await requester.request("d")
            assert not later.value.may_have_been_processed


async def test_the_peer_may_close_while_nothing_is_in_flight() -> None:
    async with asking() as (requester, there, _):
        await there.send_eof()
        with pytest.raises(trio.EndOfChannel):
            await requester.unsolicited.receive()
        with pytest.raises(trio_tcp.ConnectionLost) as caught:
            await requester.request("a")
        assert isinstance(caught.value.__cause__, trio_tcp.PeerClosed)
        assert not caught.value.may_have_been_processed


async def test_replies_before_the_end_are_delivered() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        await there.send("A")
        await there.send_eof()
        await wait_all_tasks_blocked()
        assert asked[0].reply == "A"
        assert isinstance(asked[1].lost.__cause__, trio_tcp.PeerClosed)


async def test_what_is_in_flight_is_answered_when_nothing_more_can_be_sent() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here) as requester,
        ):
            (first,) = await ask(nursery, requester, "a")
            await here.send_eof()
            (second,) = await ask(nursery, requester, "b")
            await there.send("A")
            await wait_all_tasks_blocked()
            assert first.reply == "A"
            assert not second.lost.may_have_been_processed


async def test_a_request_fails_when_nothing_can_be_sent_and_nothing_is_in_flight() -> (
    None
):
    async with testing.connection_pair(CODEC) as (here, _):
        async with trio_tcp.Requester(here) as requester:
            await here.send_eof()
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("a")
            assert not caught.value.may_have_been_processed


async def test_a_connection_that_is_closed_here_sends_all_away() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here) as requester,
        ):
            (asked,) = await ask(nursery, requester, "a")
            nursery.start_soon(here.aclose)
            nursery.start_soon(there.aclose)
            await wait_all_tasks_blocked()
            assert isinstance(asked.lost.__cause__, trio_tcp.ConnectionClosedError)


async def test_a_draining_server_gets_the_replies_that_are_under_way() -> None:
    asked: list[Asked] = []

    async def handle(connection: Text) -> None:
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(connection) as requester,
        ):
            asked.extend(await ask(nursery, requester, "a"))
            async for _ in requester.unsolicited:
                pass
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("too late")
            assert isinstance(caught.value.__cause__, trio_tcp.Drained)

    async with testing.serve_in_memory(handle, CODEC) as served:
        async with trio.open_nursery() as nursery, served.connect() as device:
            assert await device.receive() == "a"
            nursery.start_soon(served.server.drain)
            await wait_all_tasks_blocked()
            await device.send("A")
            with pytest.raises(trio_tcp.PeerClosed):
                await device.receive()
    assert asked[0].reply == "A"


async def test_a_lost_connection_is_its_peers_doing_not_its_handlers() -> None:
    events: list[trio_tcp.Event] = []

    async def handle(connection: Text) -> None:
        async with trio_tcp.Requester(connection) as requester:
            await requester.request("a")

    async with testing.serve_in_memory(handle, CODEC, observer=events.append) as served:
        async with served.connect() as device:
            await device.receive()
            device.abort()
        await wait_all_tasks_blocked()
    assert not any(isinstance(event, trio_tcp.HandlerFailed) for event in events)
    (ended,) = (e for e in events if isinstance(e, trio_tcp.ConnectionEnded))
    assert ended.reason is CloseReason.BROKEN
