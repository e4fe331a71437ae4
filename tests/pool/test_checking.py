"""A check before an idle connection is lent, and what becomes of who fails it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend, Text, number_of
from tests.pool.pooling import discarded, fill, touch
from trio_tcp import DiscardReason


async def test_only_who_was_idle_is_checked(
    backend: Backend, nursery: trio.Nursery
) -> None:
    checked: list[int] = []

    async def check(connection: Text) -> None:
        checked.append(number_of(connection))

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        async with pool.connection():
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert checked == []
        async with pool.connection():
            assert checked == [0]
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert checked == [0]


@pytest.mark.parametrize(
    "error",
    [
        trio.TooSlowError(),
        trio.BrokenResourceError("no pong"),
        OSError(5, "no"),
        ExceptionGroup("of a nursery", [trio.TooSlowError()]),
    ],
)
async def test_when_a_check_fails_the_next_is_tried(
    backend: Backend, error: Exception
) -> None:
    checked: list[int] = []

    async def check(connection: Text) -> None:
        checked.append(number_of(connection))
        if number_of(connection) < 2:
            raise error

    async with trio_tcp.open_pool(backend.connect, size=3, check=check) as pool:
        await fill(pool, 3)
        await wait_all_tasks_blocked()
        assert await touch(pool) == 2
        assert checked == [0, 1, 2]
        assert discarded(pool) == {DiscardReason.CHECK_FAILED: 2}


@pytest.mark.parametrize("how", ["abort", "unread", "cancelled"])
async def test_a_check_that_leaves_a_connection_unfit_has_failed(
    backend: Backend, how: str, autojump_clock: MockClock
) -> None:
    async def check(connection: Text) -> None:
        match how:
            case "abort":
                connection.abort()
            case "unread":
                await backend.peers[0].send_all(b"one\ntwo\n")
                await connection.receive()
            case _:
                with trio.move_on_after(0):
                    await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.CHECK_FAILED: 1}


async def test_a_mistake_in_a_check_is_not_hidden(backend: Backend) -> None:
    async def check(_connection: Text) -> None:
        raise ZeroDivisionError

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        with pytest.raises(ZeroDivisionError):
            await touch(pool)
        assert await touch(pool) == 1  # which was not idle


async def test_a_check_that_is_cancelled_discards(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async def check(connection: Text) -> None:
        await connection.send("PING")
        await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await trio.sleep(1)
        with trio.move_on_after(1) as scope:
            await touch(pool)
        assert scope.cancelled_caught
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_whose_check_fails_does_not_lose_his_place(
    backend: Backend, nursery: trio.Nursery
) -> None:
    served: list[str] = []
    checking = trio.Event()

    async def check(_connection: Text) -> None:
        await checking.wait()
        raise trio.TooSlowError

    async def use(name: str) -> None:
        async with pool.connection():
            served.append(name)

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        for name in "abc":
            nursery.start_soon(use, name)
            await wait_all_tasks_blocked()
        checking.set()
        await wait_all_tasks_blocked()
        assert served == ["a", "b", "c"]
