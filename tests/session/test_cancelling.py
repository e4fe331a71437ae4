"""A session can be cancelled anywhere, in part or as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.doors import Door, Text
from tests.session.asking import ask
from trio_tcp import open_session


@pytest.mark.parametrize("where", ["connecting", "preparing", "waiting", "body"])
async def test_cancelled_anywhere_it_leaves_nothing_and_can_go_on(
    where: str, autojump_clock: MockClock
) -> None:
    stuck = where

    async def log_in(_connection: Text) -> None:
        if stuck == "preparing":
            await trio.sleep_forever()

    async with Door().running() as door:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            if stuck == "connecting":
                await trio.sleep_forever()
            async with door.connect() as connection:
                yield connection

        door.is_open = where != "waiting"
        async with open_session(connect, prepare=log_in) as session:
            with trio.move_on_after(100) as scope:
                async for _ in session:
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            await wait_all_tasks_blocked()
            assert door.open == (where == "body")
            stuck, door.is_open = "", True
            async for connection in session:
                assert await ask(connection, "hello") == "hello"
                break
        assert door.open == 0


@pytest.mark.parametrize("where", ["waiting", "body"])
async def test_the_session_as_a_whole_can_be_cancelled(
    where: str, autojump_clock: MockClock
) -> None:
    async with Door().running() as door:
        door.is_open = where == "body"
        with trio.move_on_after(100) as scope:
            async with open_session(door.connect) as session:
                async for _ in session:
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == 100
        assert door.open == 0
