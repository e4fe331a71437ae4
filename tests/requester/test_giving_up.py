"""`open_requester` before it is ready: each connection is prepared, or it gives up."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.reconnecting import ask_repeatably, asking, refused
from tests.requester.requesting import Dial, Text, ask


class WrongPassword(Exception):
    """What no attempt can mend."""


async def log_in(connection: Text) -> None:
    await connection.send("login")
    if await connection.receive() != "welcome":
        raise WrongPassword("no")


def is_wrong_password(error: Exception) -> bool:
    return isinstance(error, WrongPassword)


async def test_each_connection_is_prepared_before_any_request(
    autojump_clock: MockClock,
) -> None:
    async with asking(prepare=log_in) as (requester, dial, nursery):
        asked = await ask_repeatably(nursery, requester, "a")
        for _ in range(2):
            there = await dial.accept()
            assert await there.receive() == "login"
            await there.send("welcome")
            assert await there.receive() == "a"
            there.abort()
        there = await dial.accept()
        await there.send_many(["welcome", "A"])
        await wait_all_tasks_blocked()
        assert asked[0].reply == "A"


async def test_a_permanent_error_is_raised_by_all_requests_and_later_ones(
    autojump_clock: MockClock,
) -> None:
    async with asking(prepare=log_in, is_permanent=is_wrong_password) as (
        requester,
        dial,
        nursery,
    ):
        asked = await ask(nursery, requester, "a", "b")
        there = await dial.accept()
        await there.send("go away")
        await wait_all_tasks_blocked()
        errors = [each.error for each in asked]
        assert all(isinstance(error, WrongPassword) for error in errors)
        assert errors[0] is not errors[1]
        with pytest.raises(WrongPassword):
            await requester.request("c")
        with pytest.raises(trio.EndOfChannel):
            await requester.unsolicited.receive()
        assert dial.attempts == 1


async def test_attempts_may_have_a_limit(autojump_clock: MockClock) -> None:
    backoff = trio_tcp.Backoff(max_attempts=3)
    failures = [refused() for _ in range(3)]
    async with asking(*failures, backoff=backoff) as (requester, dial, _):
        with pytest.raises(ConnectionRefusedError):
            await requester.request("a")
        assert dial.attempts == 3


async def test_a_mistake_in_prepare_leaves_as_itself(autojump_clock: MockClock) -> None:
    async def mistaken(_: Text) -> None:
        raise LookupError("a mistake")

    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="a mistake"):
            async with trio_tcp.open_requester(dial.connect, prepare=mistaken):
                await trio.sleep_forever()


async def test_requests_raise_the_mistake_too(autojump_clock: MockClock) -> None:
    async def mistaken(_: Text) -> None:
        raise LookupError("a mistake")

    dial = Dial()
    async with dial.serving():
        with pytest.raises(LookupError, match="a mistake"):
            async with trio_tcp.open_requester(
                dial.connect, prepare=mistaken
            ) as requester:
                with trio.CancelScope(shield=True), pytest.raises(LookupError):
                    await requester.request("a")
