"""Replies that the peer should not have sent, and whom they harm."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import (
    CODEC,
    Correlate,
    ask,
    asking,
    first_word,
    is_news,
)
from trio_tcp import CloseReason, testing


@pytest.mark.parametrize(
    ("correlate", "reply", "reply_id"), [(None, "B", None), (first_word, "2 B", "2")]
)
async def test_a_reply_that_nobody_waits_for_breaks_the_connection(
    correlate: Correlate | None, reply: str, reply_id: str | None
) -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here, correlate=correlate) as requester,
        ):
            (first,) = await ask(nursery, requester, "1 a")
            await there.send_many(["1 A", reply])
            await wait_all_tasks_blocked()
            assert first.reply == "1 A"
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("3 c")
            cause = caught.value.__cause__
            assert isinstance(cause, trio_tcp.UnexpectedReplyError)
            assert cause.id == reply_id
            assert cause.connection_id == here.id
        assert here.close_reason is CloseReason.PROTOCOL_ERROR


async def test_a_second_reply_to_one_request_is_nobodys() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        await there.send_many(["1 A", "1 A", "2 B"])
        await wait_all_tasks_blocked()
        assert asked[0].reply == "1 A"
        assert isinstance(asked[1].lost.__cause__, trio_tcp.UnexpectedReplyError)


async def test_a_malformed_reply_is_the_oldest_requests() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        await there.send_many(["bad", "B"])
        await wait_all_tasks_blocked()
        assert isinstance(asked[0].error, trio_tcp.MalformedMessageError)
        assert asked[1].reply == "B"


async def test_a_malformed_reply_to_a_cancelled_request_is_dropped() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        asked[0].scope.cancel()
        await there.send_many(["bad", "B"])
        await wait_all_tasks_blocked()
        assert asked[0].error is None
        assert asked[1].reply == "B"


@pytest.mark.parametrize(
    "options", [{"correlate": first_word}, {"is_unsolicited": is_news}]
)
async def test_a_malformed_message_that_may_be_anybodys_breaks_the_connection(
    options: dict[str, Any],
) -> None:
    async with asking(**options) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        await there.send_many(["bad", "2 B"])
        await wait_all_tasks_blocked()
        for each in asked:
            assert isinstance(each.lost.__cause__, trio_tcp.MalformedMessageError)


async def test_a_malformed_message_that_nobody_waits_for_breaks_the_connection() -> (
    None
):
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio_tcp.Requester(here) as requester:
            await there.send("bad")
            await wait_all_tasks_blocked()
            with pytest.raises(trio_tcp.ConnectionLost):
                await requester.request("a")
        assert here.close_reason is CloseReason.PROTOCOL_ERROR


def never_a_reply(message: str) -> str:
    if message.startswith("reply"):
        raise KeyError("id")
    return message


async def test_a_reply_that_the_users_function_cannot_read_is_malformed() -> None:
    async with asking(correlate=never_a_reply) as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "a")
        await there.send("reply")
        await wait_all_tasks_blocked()
        cause = asked.lost.__cause__
        assert isinstance(cause, trio_tcp.MalformedMessageError)
        assert isinstance(cause.__cause__, KeyError)
