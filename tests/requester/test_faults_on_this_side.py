"""What a program must not ask of a requester: it is refused, and harms no others."""

from __future__ import annotations

import math
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, ask, asking, first_word, is_news, receive
from trio_tcp import testing


async def test_a_request_whose_id_is_in_flight_is_refused() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        (first,) = await ask(nursery, requester, "1 a")
        with pytest.raises(trio_tcp.RequestIdInUseError, match="id '1' waits") as error:
            await requester.request("1 b")
        assert error.value.id == "1"
        first.scope.cancel()  # its reply can still come
        with pytest.raises(trio_tcp.RequestIdInUseError):
            await requester.request("1 b")
        await there.send("1 A")
        await wait_all_tasks_blocked()
        (again,) = await ask(nursery, requester, "1 b")
        await there.send("1 B")
        assert await receive(there, 2) == ["1 a", "1 b"]
        await wait_all_tasks_blocked()
        assert again.reply == "1 B"


async def test_an_id_that_is_free_when_its_turn_comes_is_good() -> None:
    options: dict[str, Any] = {"correlate": first_word, "max_in_flight": 1}
    async with asking(**options) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "1 b")
        for reply in ("1 A", "1 B"):
            await there.send(reply)
            await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["1 A", "1 B"]


async def test_a_request_without_an_id_is_refused() -> None:
    async with asking(correlate=first_word) as (requester, _, _):
        with pytest.raises(ValueError, match="no id in this request: 'news'"):
            await requester.request("news")
        assert requester.statistics().in_flight == 0


@pytest.mark.parametrize("max_in_flight", [1, 2])
async def test_what_cannot_be_encoded_is_not_sent_and_harms_nobody(
    max_in_flight: int,
) -> None:
    async with asking(max_in_flight=max_in_flight) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "two\nlines", "c")
        await there.send("A")
        assert await receive(there, 2) == ["a", "c"]
        await there.send("C")
        await wait_all_tasks_blocked()
        assert isinstance(asked[1].error, trio_tcp.EncodeError)
        assert [each.reply for each in asked] == ["A", None, "C"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_in_flight": 0},
        {"max_in_flight": 1.5},
        {"max_unsolicited": 0},
        {"reply_timeout": -1},
        {"reply_timeout": math.nan},
        {"correlate": first_word, "is_unsolicited": is_news},
    ],
)
async def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        with pytest.raises(ValueError, match=r"must be|leave out"):
            trio_tcp.Requester(here, **options)
