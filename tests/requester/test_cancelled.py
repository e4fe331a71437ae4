"""A request that is cancelled, and the reply that comes all the same."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.requester.requesting import Correlate, ask, asking, first_word, receive


async def test_a_request_is_not_sent_in_a_cancelled_scope() -> None:
    async with asking() as (requester, there, _):
        with trio.CancelScope() as scope:
            scope.cancel()
            await requester.request("never")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            there.receive_nowait()
        assert there.statistics().bytes_received == 0
        assert requester.statistics().in_flight == 0


async def test_a_request_that_is_cancelled_in_line_is_never_sent() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "never", "c")
        asked[1].scope.cancel()
        await wait_all_tasks_blocked()
        assert requester.statistics().waiting == 1
        await there.send("A")
        await there.send("C")
        assert await receive(there, 2) == ["a", "c"]
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", None, "C"]


@pytest.mark.parametrize("correlate", [None, first_word])
async def test_the_late_reply_to_a_cancelled_request_is_nobodys(
    correlate: Correlate | None,
) -> None:
    async with asking(correlate=correlate) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        asked[0].scope.cancel()
        await wait_all_tasks_blocked()
        assert asked[0].is_done
        await there.send_many(["1 A", "2 B"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == [None, "2 B"]
        assert requester.statistics().late_replies == 1


async def test_a_cancelled_request_keeps_its_place_until_its_reply_comes() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        asked[0].scope.cancel()
        await wait_all_tasks_blocked()
        assert await there.receive() == "a"
        assert requester.statistics().in_flight == 1
        with pytest.raises(trio.WouldBlock):
            there.receive_nowait()
        await there.send("A")
        assert await there.receive() == "b"
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked[1].reply == "B"


async def test_a_reply_that_came_before_the_cancellation_is_returned() -> None:
    async with asking() as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "a")

        there.send_nowait("A")
        while requester.statistics().replies == 0:  # noqa: ASYNC110 - in one step
            await trio.lowlevel.checkpoint()
        asked.scope.cancel()
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
