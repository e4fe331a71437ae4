"""Whose a message is: a request's reply, or news that nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import (
    CODEC,
    Text,
    ask,
    asking,
    first_word,
    is_news,
    receive,
)
from trio_tcp import testing


async def test_replies_come_in_the_order_of_the_requests() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c")
        assert await receive(there, 3) == ["a", "b", "c"]
        await there.send_many(["A", "B", "C"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", "B", "C"]


async def test_replies_with_ids_come_in_any_order() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b", "3 c")
        await there.send_many(["2 B", "3 C", "1 A"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["1 A", "2 B", "3 C"]


async def test_a_server_can_ask_its_client() -> None:
    replies: list[str] = []

    async def handle(connection: Text) -> None:
        async with trio_tcp.Requester(connection) as requester:
            replies.append(await requester.request("who are you?"))

    async with testing.serve_in_memory(handle, CODEC) as served:
        async with served.connect() as device:
            assert await device.receive() == "who are you?"
            await device.send("a thermometer")
            with pytest.raises(trio_tcp.PeerClosed):
                await device.receive()
    assert replies == ["a thermometer"]


@pytest.mark.parametrize(
    "options", [{"correlate": first_word}, {"is_unsolicited": is_news}]
)
async def test_unsolicited_messages_have_a_channel_of_their_own(
    options: dict[str, Any],
) -> None:
    async with asking(**options) as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "1 a")
        await there.send_many(["news 1", "1 A", "news 2"])
        assert await requester.unsolicited.receive() == "news 1"
        assert await requester.unsolicited.receive() == "news 2"
        assert asked.reply == "1 A"


async def test_news_that_nobody_takes_does_not_keep_replies_from_coming() -> None:
    async with asking(is_unsolicited=is_news, max_unsolicited=2) as (
        requester,
        there,
        nursery,
    ):
        (asked,) = await ask(nursery, requester, "a")
        await there.send_many([*(f"news {n}" for n in range(5)), "A"])
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert requester.statistics().unsolicited_dropped == 3
        assert requester.unsolicited.receive_nowait() == "news 0"
        assert requester.unsolicited.receive_nowait() == "news 1"


async def test_news_may_be_unwanted() -> None:
    async with asking(is_unsolicited=is_news) as (requester, there, nursery):
        await requester.unsolicited.aclose()
        (asked,) = await ask(nursery, requester, "a")
        await there.send_many(["news", "A"])
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
