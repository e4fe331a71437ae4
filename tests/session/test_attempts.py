"""When a session tries to connect, how long it waits, and what makes it stop."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.doors import Door, Text
from tests.session.asking import STEADY, ask
from trio_tcp import Backoff, Stopped, open_session


async def test_it_waits_longer_while_the_server_is_down(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        door.is_open = False
        async with open_session(door.connect, backoff=STEADY) as session:
            with trio.move_on_after(20):
                await anext(session)
            door.is_open = True
            await anext(session)
    assert door.knocks == [0, 1, 3, 7, 15, 23]


@pytest.mark.parametrize(
    ("seconds", "knocks"),
    [(9, [0, 10, 21, 34]), (10, [0, 11, 22, 33])],
)
async def test_a_connection_is_healthy_that_lives_for_long_enough(
    seconds: float, knocks: list[float], autojump_clock: MockClock
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for connection in session:
            if len(door.knocks) == 4:
                break
            with session.until_broken():
                await ask(connection, f"close after {seconds}")
    assert door.knocks == knocks


async def test_clients_of_a_server_that_ends_do_not_come_back_at_once(
    autojump_clock: MockClock,
) -> None:
    async def come_back(seed: int) -> None:
        async with open_session(door.connect, random=Random(seed)) as session:
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "close after 20")

    async with Door().running() as door, trio.open_nursery() as nursery:
        for seed in range(10):
            nursery.start_soon(come_back, seed)
        await trio.sleep(21)
        nursery.cancel_scope.cancel()
    assert door.knocks[:10] == [0] * 10
    assert len(set(door.knocks[10:])) == 10
    assert all(20 < knock < 20.5 for knock in door.knocks[10:])


async def test_jitter_follows_the_seed_of_the_module_random(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    knocks: list[list[float]] = []
    for _ in range(2):
        door.knocks.clear()
        random.seed(7)
        start = trio.current_time()
        async with open_session(door.connect) as session:
            with trio.move_on_after(100):
                await anext(session)
        knocks.append([knock - start for knock in door.knocks])
    assert knocks[0] == pytest.approx(knocks[1])


async def test_each_attempt_looks_up_anew(autojump_clock: MockClock) -> None:
    addresses = iter(["old", "old", "new"])
    async with Door().running() as door:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            if next(addresses) == "old":
                raise ConnectionRefusedError
            async with door.connect() as connection:
                yield connection

        async with open_session(connect) as session:
            assert await ask(await anext(session), "hello") == "hello"


async def test_a_permanent_error_ends_the_loop_as_itself(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    cause = ValueError("the certificate is another's")
    error = trio_tcp.ConnectError("here", (cause,))
    error.__cause__ = cause
    door.refusal = error
    async with open_session(
        door.connect, is_permanent=lambda error: isinstance(error, OSError)
    ) as session:
        with pytest.raises(trio_tcp.ConnectError) as caught:
            await anext(session)
        assert caught.value.args == error.args
        assert caught.value.__cause__ is cause
        assert session.state == Stopped(error)
        with pytest.raises(trio_tcp.ConnectError):
            await anext(session)
    assert len(door.knocks) == 1


async def test_the_end_of_a_connection_can_be_permanent(
    autojump_clock: MockClock,
) -> None:
    def is_protocol_error(error: Exception) -> bool:
        return isinstance(error, trio_tcp.PeerClosed)

    async with (
        Door().running() as door,
        open_session(door.connect, is_permanent=is_protocol_error) as session,
    ):
        with pytest.raises(trio_tcp.PeerClosed):
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "close")
        assert session.last_break is not None
        assert len(door.knocks) == 1


async def test_it_gives_up_with_the_last_error(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    backoff = Backoff(initial=1, jitter="none", max_attempts=3)
    async with open_session(door.connect, backoff=backoff) as session:
        with pytest.raises(ConnectionRefusedError) as caught:
            await anext(session)
        assert caught.value.args == door.refusal.args
        assert session.state == Stopped(door.refusal)
    assert door.knocks == [0, 1, 3]


async def test_connections_that_break_soon_are_failures_to_give_up_after(
    autojump_clock: MockClock,
) -> None:
    backoff = Backoff(initial=1, jitter="none", max_attempts=3)
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=backoff) as session,
    ):
        with pytest.raises(trio_tcp.ConnectionBroken):
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "reset")
    assert door.knocks == [0, 1, 3]


async def test_what_is_no_failure_of_a_connection_leaves_at_once(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    door.refusal = KeyError("port")
    async with open_session(door.connect) as session:
        with pytest.raises(KeyError, match="port"):
            await anext(session)
    assert len(door.knocks) == 1
