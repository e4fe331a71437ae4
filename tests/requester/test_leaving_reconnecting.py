"""`open_requester` and the end of its block: nobody goes on waiting."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.reconnecting import ask_repeatably, asking, refused
from tests.requester.requesting import Dial, ask


async def test_what_leaves_the_block_leaves_as_itself(
    autojump_clock: MockClock,
) -> None:
    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="mine"):
            async with trio_tcp.open_requester(dial.connect):
                await dial.accept()
                raise LookupError("mine")


async def test_the_connection_is_closed_in_order(autojump_clock: MockClock) -> None:
    dial = Dial()
    async with dial.serving(), trio.open_nursery() as nursery:
        async with trio_tcp.open_requester(dial.connect) as requester:
            (asked,) = await ask(nursery, requester, "a")
            there = await dial.accept()
            await there.send("A")
            await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert await there.receive() == "a"
        with pytest.raises(trio_tcp.PeerClosed):
            await there.receive()


async def test_the_end_of_the_block_leaves_no_task_waiting(
    autojump_clock: MockClock,
) -> None:
    dial = Dial()
    async with dial.serving(), trio.open_nursery() as nursery:
        async with trio_tcp.open_requester(dial.connect, max_in_flight=1) as requester:
            asked = await ask_repeatably(nursery, requester, "a")
            asked += await ask(nursery, requester, "b")
            there = await dial.accept()
        await wait_all_tasks_blocked()
        assert asked[0].lost.may_have_been_processed
        assert isinstance(asked[1].error, trio_tcp.ConnectionClosedError)
        with pytest.raises(trio.ClosedResourceError):
            await requester.request("c")
        with pytest.raises(trio_tcp.ConnectionBroken):  # its reply would go nowhere
            await there.receive()


async def test_the_end_of_the_block_does_not_wait_for_a_server_that_is_down(
    autojump_clock: MockClock,
) -> None:
    backoff = trio_tcp.Backoff(initial=30, jitter="none")
    async with asking(refused(), backoff=backoff) as (requester, _, nursery):
        (asked,) = await ask(nursery, requester, "a")
    assert isinstance(asked.error, trio_tcp.ConnectionClosedError)
    assert trio.current_time() == 0
