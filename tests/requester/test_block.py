"""A requester's block: the connection is its own meanwhile, and what the end leaves."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, ask, is_news
from trio_tcp import CloseReason, testing


async def test_a_requester_is_used_in_its_block() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        requester = trio_tcp.Requester(here)
        with pytest.raises(RuntimeError, match="async with"):
            await requester.request("a")


async def test_one_task_receives_and_that_is_the_requesters() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        async with trio_tcp.Requester(here):
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await here.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                async with trio_tcp.Requester(here):
                    pass
            nursery.cancel_scope.cancel()


async def test_a_requester_has_one_block() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        requester = trio_tcp.Requester(here)
        async with requester:
            pass
        with pytest.raises(RuntimeError, match="one block"):
            async with requester:
                pass


async def test_what_leaves_the_block_leaves_as_itself() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        with pytest.raises(LookupError, match="mine"):
            async with trio_tcp.Requester(here):
                raise LookupError("mine")


async def test_the_end_of_the_block_leaves_no_task_waiting() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here, max_in_flight=1) as requester:
                asked = await ask(nursery, requester, "a", "b")
            await wait_all_tasks_blocked()
            assert asked[0].lost.may_have_been_processed
            assert isinstance(asked[0].lost.__cause__, trio_tcp.ConnectionClosedError)
            assert isinstance(asked[1].error, trio_tcp.ConnectionClosedError)
            with pytest.raises(trio.ClosedResourceError):
                await requester.request("c")
            with pytest.raises(trio.EndOfChannel):
                await requester.unsolicited.receive()


async def test_after_the_block_the_connection_is_there_for_other_things() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here) as requester:
                await ask(nursery, requester, "a")
                await there.send("A")
                await wait_all_tasks_blocked()
        await there.send("hello")
        assert await here.receive() == "hello"


async def test_a_reply_that_is_still_to_come_is_not_left_for_others() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here) as requester:
                (asked,) = await ask(nursery, requester, "a")
                asked.scope.cancel()
                await wait_all_tasks_blocked()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            async with trio_tcp.Requester(here) as requester:
                raise await _cause(requester)
        assert here.close_reason is CloseReason.CLOSED
        with pytest.raises(trio_tcp.ConnectionBroken):
            await there.send("A")
            await there.receive()


async def _cause(requester: trio_tcp.Requester[str, str]) -> BaseException:
    with pytest.raises(trio_tcp.ConnectionLost) as caught:
        await requester.request("b")
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


async def test_news_that_comes_as_the_block_ends_is_no_fault_of_the_peer() -> None:
    for delay in 20 * [1, 2, 3, 4]:
        async with testing.connection_pair(CODEC) as (here, there):
            async with trio_tcp.Requester(here, is_unsolicited=is_news):
                await wait_all_tasks_blocked()
                await there.send("news")
                for _ in range(delay):
                    await trio.lowlevel.checkpoint()
            await there.send("something else")
            while await here.receive() == "news":  # it came too late for the block
                pass
            assert here.close_reason is None
