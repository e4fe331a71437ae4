"""The states of a session: all that happens can be watched, and waited for."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.doors import Door
from tests.session.asking import STEADY, ask
from trio_tcp import Connecting, Ready, SessionState, Stopped, Waiting, open_session


async def test_states_tell_all_that_happens(autojump_clock: MockClock) -> None:
    seen: list[SessionState] = []

    async def watch() -> None:
        async for state in session.states():
            seen.append(state)
            await trio.sleep(3)  # slower than it happens

    async with Door().running() as door:
        door.is_open = False
        async with trio.open_nursery() as nursery:
            async with open_session(door.connect, backoff=STEADY) as session:
                nursery.start_soon(watch)
                await wait_all_tasks_blocked()
                async with trio.open_nursery() as inner:
                    inner.start_soon(partial(open_later, door, 0.5))
                    connection = await anext(session)
                with session.until_broken():
                    await ask(connection, "reset")
                await anext(session)
    match seen:
        case [
            Connecting(attempt=1, error=None),
            Waiting(seconds=1, error=why),
            Connecting(attempt=2, error=last),
            Ready(),
            Waiting(seconds=2, error=trio_tcp.ConnectionBroken()),
            Connecting(attempt=3, error=trio_tcp.ConnectionBroken()),
            Ready(),
            Stopped(error=None),
        ]:
            assert why is door.refusal
            assert last is door.refusal
        case _:
            pytest.fail(f"{seen}")


async def open_later(door: Door, seconds: float) -> None:
    await trio.sleep(seconds)
    door.is_open = True


async def test_a_state_can_be_awaited(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    async with open_session(door.connect, backoff=STEADY) as session:
        assert await session.wait_for(Connecting) == Connecting(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, session)
            state = await session.wait_for(Waiting)
            assert state == Waiting(1, door.refusal)
            nursery.cancel_scope.cancel()


async def test_nobody_waits_for_a_state_that_cannot_come(
    autojump_clock: MockClock,
) -> None:
    async def expect_closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await session.wait_for(Ready)

    async with trio.open_nursery() as nursery:
        async with open_session(Door().connect) as session:
            nursery.start_soon(expect_closed)
            await wait_all_tasks_blocked()
        assert await session.wait_for(Stopped) == Stopped(None)
