"""How long a connection may be without any reply to what is in flight."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, PATIENT, ask, asking, is_news, receive
from trio_tcp import CloseReason, testing


async def test_without_any_reply_the_connection_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with asking(max_in_flight=2, reply_timeout=30) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c")
        asked[0].scope.cancel()
        await trio.sleep(29.9)
        assert not asked[1].is_done
        await trio.sleep(0.2)
        assert await receive(there, 2) == ["a", "b"]
        for each, was_sent in ((asked[1], True), (asked[2], False)):
            assert each.lost.may_have_been_processed is was_sent
            cause = each.lost.__cause__
            assert isinstance(cause, trio_tcp.PeerTooSlowError)
            assert (cause.timeout, cause.seconds) == ("reply", 30)
            assert str(cause) == "no reply came to any request for 30 s (reply_timeout)"


async def test_a_connection_that_was_given_up_says_why(
    autojump_clock: MockClock,
) -> None:
    async with testing.connection_pair(CODEC, timeouts=PATIENT) as (here, _):
        async with trio_tcp.Requester(here, reply_timeout=5) as requester:
            with pytest.raises(trio_tcp.ConnectionLost):
                await requester.request("a")
        assert here.close_reason is CloseReason.TIMED_OUT
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await here.send("b")


async def test_a_long_pipeline_has_time_as_long_as_it_moves(
    autojump_clock: MockClock,
) -> None:
    async with asking(reply_timeout=5) as (requester, there, nursery):
        asked = await ask(nursery, requester, *map(str, range(10)))
        for number in range(10):
            await trio.sleep(4)
            await there.send(str(number))
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == list(map(str, range(10)))


async def test_news_is_no_reply_to_wait_longer_for(autojump_clock: MockClock) -> None:
    async with asking(is_unsolicited=is_news, reply_timeout=5) as (
        requester,
        there,
        nursery,
    ):
        (asked,) = await ask(nursery, requester, "a")
        for _ in range(3):
            await there.send("news")
            await trio.sleep(2)
        assert isinstance(asked.lost.__cause__, trio_tcp.PeerTooSlowError)


async def test_the_time_begins_with_the_request(autojump_clock: MockClock) -> None:
    async with asking(reply_timeout=5) as (requester, there, nursery):
        await trio.sleep(1000)
        (asked,) = await ask(nursery, requester, "a")
        await trio.sleep(4)
        await there.send("A")
        await trio.sleep(1000)
        assert asked.reply == "A"
        (asked,) = await ask(nursery, requester, "b")
        await trio.sleep(4)
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked.reply == "B"
