"""The loop over a session: one connection after the other, and how it is left."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.doors import Door, Text
from tests.session.asking import STEADY, ask
from trio_tcp import CloseReason, open_session


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_the_loop_goes_on_with_another_connection(
    end: str, autojump_clock: MockClock
) -> None:
    answers: list[str] = []
    async with Door().running() as door, open_session(door.connect) as session:
        async for connection in session:
            answers.append(await ask(connection, f"hello {len(answers)}"))
            if len(answers) == 3:
                break
            with session.until_broken():
                await ask(connection, end)
    assert answers == ["hello 0", "hello 1", "hello 2"]


async def test_nothing_is_connected_before_the_loop_asks(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect):
        await wait_all_tasks_blocked()
        assert not door.knocks


async def test_there_is_one_connection_at_a_time(autojump_clock: MockClock) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        async for _ in session:
            assert door.open == 1
            if len(door.knocks) == 3:
                break


async def test_a_connection_is_closed_gracefully_when_the_body_is_done_with_it(
    autojump_clock: MockClock,
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for connection in session:
            await connection.send(f"hello {len(door.knocks)}")
            if len(door.knocks) == 2:
                break
    assert door.received == ["hello 1", "hello 2"]
    assert door.ends == [CloseReason.PEER_CLOSED] * 2


async def test_a_body_that_does_nothing_does_not_connect_as_fast_as_it_can(
    autojump_clock: MockClock,
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for _ in session:
            if len(door.knocks) == 4:
                break
    assert door.knocks == [0, 1, 3, 7]


async def test_after_break_the_connection_is_there_until_the_block_ends(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        connections: list[Text] = []
        async for connection in session:
            connections.append(connection)
            break
        await trio.sleep(30)
        assert await ask(connections[0], "hello") == "hello"
        assert door.open == 1
    assert door.open == 0
    assert door.ends == [CloseReason.PEER_CLOSED]


async def test_what_the_body_raises_leaves_as_itself_and_aborts(
    autojump_clock: MockClock,
) -> None:
    mistake = KeyError("name")
    async with Door().running() as door:
        with pytest.raises(KeyError) as caught:
            async with open_session(door.connect) as session:
                async for connection in session:
                    await ask(connection, "hello")
                    raise mistake
        assert caught.value is mistake
        await wait_all_tasks_blocked()
        assert door.ends == [CloseReason.BROKEN]


async def test_the_end_of_a_connection_leaves_the_loop_if_nobody_contains_it(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        with pytest.raises(trio_tcp.ConnectionBroken):
            async with open_session(door.connect) as session:
                async for connection in session:
                    await ask(connection, "reset")


async def test_the_loop_can_be_left_in_a_scope_and_entered_again(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        for number in range(3):
            with trio.move_on_after(20) as scope:
                async for connection in session:
                    assert await ask(connection, f"hello {number}")
                    await trio.sleep_forever()
            assert scope.cancelled_caught
    assert len(door.knocks) == 3


async def test_two_tasks_cannot_ask_at_once(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    async with open_session(door.connect) as session, trio.open_nursery() as nursery:
        nursery.start_soon(anext, session)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(session)
        nursery.cancel_scope.cancel()


async def test_after_its_block_a_session_gives_no_connection(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        async with open_session(door.connect) as session:
            await anext(session)
        with pytest.raises(trio.ClosedResourceError):
            await anext(session)
